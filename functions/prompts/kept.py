"""What is kept of one prompt: shown, deleted, and retired."""

from __future__ import annotations

import asyncio
from typing import Any

from functions.prompts.ids import ID
from functions.prompts.prompt import Place, Retention
from functions.prompts.rendition import RENDITIONS, Rendition
from functions.prompts.revisions import Retired
from functions.prompts.service import Prompts
from functions.prompts.stored import Stored
from isikit import logs
from isikit.errors import NotFound
from isikit.stamps import rfc3339

_RETENTIONS: tuple[Retention, ...] = ("permanent", "day")


async def show(prompts: Prompts, tenant_id: str, prompt_id: str) -> dict[str, Any]:
    """A prompt of the tenant with its renditions; never its text.

    Raises
    ------
    NotFound
        The tenant has none of that id.
    Retired
        It was retired.
    """
    places = _places(tenant_id, prompt_id)
    shown = [one for found in await asyncio.gather(*(_renditions(prompts, place) for place in places)) for one in found]
    recipes = await asyncio.gather(*(prompts.recipes.read(place) for place in places))
    recipe = next((found for found in recipes if found is not None), None)
    if not shown and recipe is None:
        raise await _missing(prompts, tenant_id, prompt_id)
    return {
        "id": prompt_id,
        "status": "ready" if shown else "pending",
        "voice_used": recipe.prompt.voice if recipe is not None else shown[0]["voice_used"],
        "renditions": [{name: value for name, value in one.items() if name != "voice_used"} for one in shown],
    }


async def delete(prompts: Prompts, tenant_id: str, prompt_id: str) -> None:
    """Delete a prompt: recipe, renditions and master. Other instances notice within a minute; players keep copies.

    Raises
    ------
    NotFound
        The tenant has none of that id.
    Retired
        It was retired, and its audio went with that.
    """
    existed = [await remove(prompts, place) for place in _places(tenant_id, prompt_id)]
    if not any(existed):
        raise await _missing(prompts, tenant_id, prompt_id)
    logs.event("prompt.deleted", prompt_id=prompt_id)


async def retire(prompts: Prompts, tenant_id: str, prompt_id: str) -> dict[str, Any]:
    """End a prompt whose audio is wrong: its URLs are 410 for good, and the same request gets another id and URL.

    Retiring what is retired changes nothing; it sweeps once more what may have been published meanwhile.

    Raises
    ------
    NotFound
        The tenant has none of that id.
    """
    places = _places(tenant_id, prompt_id)
    if not await prompts.revisions.is_retired(tenant_id, prompt_id):
        if not any([await _exists(prompts, place) for place in places]):
            raise NotFound
        # Said first: who makes it at this moment looks again after publishing, and takes its audio away.
        await prompts.revisions.retire(tenant_id, prompt_id)
    for place in places:
        await remove(prompts, place)
    logs.event("prompt.retired", prompt_id=prompt_id)
    return {"id": prompt_id, "status": "retired"}


async def remove(prompts: Prompts, place: Place) -> bool:
    """Delete everything at a place; whether there was anything."""
    # The recipe goes first: what is deleted after it can not be made again meanwhile.
    existed = await prompts.recipes.exists(place)
    await prompts.recipes.delete(place)
    keys = await prompts.cache.list(place.prefix)
    master = await prompts.cache.list(place.master_key)
    await prompts.cache.delete(*keys, place.master_key)
    prompts.cache.forget(place.prefix)
    return existed or bool(keys) or bool(master)


async def _exists(prompts: Prompts, place: Place) -> bool:
    return await prompts.recipes.exists(place) or bool(
        await prompts.cache.list(place.prefix) or await prompts.cache.list(place.master_key)
    )


async def _missing(prompts: Prompts, tenant_id: str, prompt_id: str) -> NotFound | Retired:
    return Retired() if await prompts.revisions.is_retired(tenant_id, prompt_id) else NotFound()


def _places(tenant_id: str, prompt_id: str) -> list[Place]:
    if not ID.fullmatch(prompt_id):
        raise NotFound
    return [Place(tenant_id, retention, prompt_id) for retention in _RETENTIONS]


async def _renditions(prompts: Prompts, place: Place) -> list[dict[str, Any]]:
    found = []
    for key in await prompts.cache.list(place.prefix):
        rendition = RENDITIONS.get(key.rpartition("/")[2])
        look = await prompts.cache.find(key) if rendition is not None else None
        if rendition is not None and look is not None and look.intact is not None:
            found.append({"url": prompts.url(place, rendition), **_entry(place, rendition, look.intact)})
    return found


def _entry(place: Place, rendition: Rendition, stored: Stored) -> dict[str, Any]:
    return {
        "retention": place.retention,
        "audio": audio(rendition, stored),
        "expires_at": None if stored.expires_at is None else rfc3339(stored.expires_at),
        "voice_used": stored.voice,
    }


def audio(rendition: Rendition, stored: Stored | None) -> dict[str, Any]:
    """How audio is described in answers; `stored` is None while it is not made."""
    return {
        "content_type": rendition.content_type,
        "encoding": rendition.encoding,
        "container": rendition.container,
        "sample_rate_hz": rendition.sample_rate_hz,
        "bytes": stored.size if stored else None,
        "duration_ms": stored.duration_ms if stored else None,
    }
