"""Recipes: what is needed to make a prompt again, sealed, because it holds the text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import msgspec

from functions.prompts.prompt import DAY_SECONDS, Place, Prompt
from isikit.errors import SealError
from isikit.objects import ObjectStore
from isikit.secrets import KeyRing

_PURPOSE = "recipe"
_SEALED = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that was found.

    Attributes
    ----------
    made_at
        When it was written, by OSS's clock.
    now
        OSS's time of reading.
    """

    prompt: Prompt
    made_at: float
    now: float


def expires_at(place: Place, made_at: float) -> float | None:
    """When what is made from a recipe of that time ends: after a day, or never."""
    return made_at + DAY_SECONDS if place.retention == "day" else None


class Recipes:
    """Recipes in the state bucket, each sealed for its own place."""

    def __init__(self, store: ObjectStore, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys

    async def write(self, place: Place, prompt: Prompt) -> float:
        """Keep the recipe of a place, and answer when it was written, by OSS's clock."""
        keys = await self._keys.current()
        plain = msgspec.json.encode(dataclasses.asdict(prompt))
        sealed = keys.seal(plain, purpose=_PURPOSE, aad=place.recipe_key.encode())
        info = await self._store.put(place.recipe_key, sealed, content_type=_SEALED)
        return info.last_modified

    async def read(self, place: Place) -> Recipe | None:
        """The recipe of a place; None where there is none, or none that is ours."""
        found = await self._store.get(place.recipe_key)
        if found is None:
            return None
        info, sealed = found
        try:
            plain = await self._keys.open(sealed, purpose=_PURPOSE, aad=place.recipe_key.encode())
            prompt = msgspec.json.decode(plain, type=Prompt)
        except (SealError, msgspec.DecodeError):
            return None  # sealed by a key that is gone, or written by an older version: the prompt is asked for again
        return Recipe(prompt, info.last_modified, info.server_time)

    async def exists(self, place: Place) -> bool:
        """Whether a place has a recipe."""
        return await self._store.head(place.recipe_key) is not None

    async def delete(self, place: Place) -> None:
        """Delete the recipe of a place."""
        await self._store.delete(place.recipe_key)

    async def list(self, prefix: str, *, after: str, limit: int) -> list[str]:
        """Up to `limit` keys of recipes below a prefix that come after `after`."""
        return await self._store.list(prefix, after=after, limit=limit)
