"""`POST /v1/prompts/purge`: many prompts of a tenant deleted at once, page by page.

Prompts are found by their recipes, which say voice, locale and age. What has lost its recipe is found by its master
afterwards; its locale is not known, so that it goes only where no locale is asked for. Where the master is damaged too,
a rendition tells voice and age; without one it goes only where neither is asked for. When a prompt was last played is
not known either: players and instances keep copies, and a hit writes nothing.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final

from functions.prompts.cache import Health
from functions.prompts.ids import ID, ONCE
from functions.prompts.kept import remove
from functions.prompts.prompt import Place, Retention
from functions.prompts.request import Purge
from functions.prompts.service import Prompts
from functions.prompts.stored import Stored
from isikit import logs
from isikit.errors import FieldError, RequestError
from isikit.host import context
from isikit.stamps import rfc3339

AT_ONCE: Final = 8
RESERVE_SECONDS: Final = 5.0
"""Of the request's time that is left over for the answer: what is not done by then is a case for the next page."""
MAX_SECONDS: Final = 20.0

_STEPS: Final[tuple[tuple[bool, Retention], ...]] = (
    (True, "permanent"),
    (True, "day"),
    (False, "permanent"),
    (False, "day"),
)
"""Where it is looked: recipes first, then masters."""
_SUFFIX: Final = ".wav"  # of masters
_SLOT: Final = re.compile(rf"{ID.pattern}|{ONCE.pattern}")
_CURSOR: Final = re.compile(rf"([0-{len(_STEPS) - 1}])\.((?:{_SLOT.pattern})?|~[0-9a-f]{{2,2046}})")
"""Step, and what it goes on after: a prompt, or, in hex, the name of something that is none."""


@dataclass(frozen=True, slots=True)
class _Found:
    place: Place
    made_at: float | None
    voice: str
    locale: str | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.place.slot,
            "retention": self.place.retention,
            "voice": self.voice,
            "locale": self.locale,
            "made_at": None if self.made_at is None else rfc3339(self.made_at),
        }


async def purge(prompts: Prompts, tenant_id: str, wish: Purge) -> dict[str, Any]:
    """One page: look at up to `max` prompts, and delete those that fit unless it is a dry run.

    What is deleted is gone before the answer, so that a page can be asked for again after a failure.

    Raises
    ------
    RequestError
        The cursor is not one that we gave out.
    """
    step, after = _position(wish.cursor)
    until = context.current().deadline.sooner(MAX_SECONDS + RESERVE_SECONDS)
    found: list[_Found] = []
    examined = 0
    cursor: str | None = None
    while step < len(_STEPS):
        if wish.retention not in (None, _STEPS[step][1]):
            step, after = step + 1, ""
            continue
        limit = wish.max - examined
        names = await _names(prompts, tenant_id, step, after, limit)
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            places = [place for place in (_place(tenant_id, step, name) for name in some) if place is not None]
            found += await _purged(prompts, places, step, wish)
            examined, after = examined + len(places), some[-1]
            if until.remaining() < RESERVE_SECONDS:
                break
        if examined >= wish.max or until.remaining() < RESERVE_SECONDS:
            cursor = _cursor(step, after)
            break
        if len(names) < limit:
            step, after = step + 1, ""
    logs.event("prompts.purged", count=len(found), mode="dry_run" if wish.dry_run else "purge")
    return {
        "dry_run": wish.dry_run,
        "examined": examined,
        "prompts": [one.as_dict() for one in found],
        "cursor": cursor,
    }


async def _purged(prompts: Prompts, places: list[Place], step: int, wish: Purge) -> list[_Found]:
    async def one(place: Place) -> _Found | None:
        found = await (_by_recipe if _STEPS[step][0] else _by_master)(prompts, place)
        if found is None or not _fits(found, wish):
            return None
        if not wish.dry_run:
            await remove(prompts, place)
        return found

    return [each for each in await asyncio.gather(*(one(place) for place in places)) if each is not None]


def _fits(found: _Found, wish: Purge) -> bool:
    return (
        (wish.made_before is None or (found.made_at is not None and found.made_at < wish.made_before))
        and wish.voice in (None, found.voice)
        and wish.locale in (None, found.locale)
    )


async def _by_recipe(prompts: Prompts, place: Place) -> _Found | None:
    recipe = await prompts.recipes.read(place)
    if recipe is None:
        return None  # it cannot be read any more: its master is found later
    return _Found(place, recipe.made_at, recipe.prompt.voice, recipe.prompt.locale)


async def _by_master(prompts: Prompts, place: Place) -> _Found | None:
    if await prompts.recipes.read(place) is not None:
        return None  # judged by its recipe
    look = await prompts.cache.find(place.master_key)
    if look.health is Health.MISSING:
        return None
    stored = look.stored or await _rendition(prompts, place)
    return _Found(place, stored.last_modified, stored.voice, None) if stored else _Found(place, None, "", None)


async def _rendition(prompts: Prompts, place: Place) -> Stored | None:
    """One that tells what its master would."""
    for key in await prompts.cache.list(place.prefix):
        if (stored := (await prompts.cache.find(key)).stored) is not None:
            return stored
    return None


async def _names(prompts: Prompts, tenant_id: str, step: int, after: str, limit: int) -> list[str]:
    """What lies where a step looks, without its prefix; not all need be a prompt's."""
    by_recipe, retention = _STEPS[step]
    place = Place(tenant_id, retention, "")
    prefix = place.recipe_key if by_recipe else place.master_key.removesuffix(_SUFFIX)
    list_ = prompts.recipes.list if by_recipe else prompts.cache.list
    keys = await list_(prefix, after=f"{prefix}{after}" if after else "", limit=limit)
    return [key.removeprefix(prefix) for key in keys]


def _place(tenant_id: str, step: int, name: str) -> Place | None:
    """Whose the name is; None where it is no prompt's."""
    slot = name.removesuffix(_suffix(step))
    return Place(tenant_id, _STEPS[step][1], slot) if _SLOT.fullmatch(slot) else None


def _position(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return 0, ""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise _wrong_cursor()
    step, told = int(match[1]), match[2]
    if not told.startswith("~"):
        return step, told and told + _suffix(step)
    try:
        return step, bytes.fromhex(told[1:]).decode()
    except ValueError:
        raise _wrong_cursor() from None


def _cursor(step: int, after: str) -> str:
    """What `_position` reads."""
    slot = after.removesuffix(_suffix(step))
    return f"{step}.{slot if not slot or _SLOT.fullmatch(slot) else '~' + after.encode().hex()}"


def _suffix(step: int) -> str:
    """Of names there: masters have one, recipes none."""
    return "" if _STEPS[step][0] else _SUFFIX


def _wrong_cursor() -> RequestError:
    return RequestError(errors=[FieldError("cursor", "format", "the cursor of an earlier answer")])
