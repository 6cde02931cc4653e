"""Published audio: found, read and proved, published first-writer-wins, forgotten."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from functions.prompts import stored as storage
from functions.prompts.stored import Stored
from functions.prompts.together import both
from functions.prompts.warm import Warm
from isikit import logs
from isikit.errors import AlreadyExists, DeadlineExceeded, Overloaded, StorageError
from isikit.host import context
from isikit.host.context import Deadline
from isikit.objects import ObjectInfo, ObjectStore
from isikit.objects.store import LIST_PAGE
from isikit.retry import RetryBudget, retrying
from isikit.secrets import KeyRing
from isikit.singleflight import SingleFlight

_PUT_SECONDS: Final = 10.0  # outside of a request
_PATIENCE_SECONDS: Final = 1.0  # with OSS, where memory can answer instead
_ROUNDS: Final = 3  # of publishing where somebody else's object is in the way, and is not whole


class Health(Enum):
    """What there is under a key."""

    MISSING = "missing"
    INTACT = "intact"
    EXPIRED = "expired"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found under a key. `stored` is there when it is intact or expired."""

    health: Health
    stored: Stored | None = None

    @property
    def intact(self) -> Stored | None:
        """What was found, if it may be served."""
        return self.stored if self.health is Health.INTACT else None


_MISSING: Final = Look(Health.MISSING)
_DAMAGED: Final = Look(Health.DAMAGED)


class Cache:
    """The prompts bucket, with this instance's memory in front of it.

    Parameters
    ----------
    store
        The prompts bucket.
    warm
        This instance's memory.
    keys
        Prove that what lies there was published by us.
    clock
        Wall time in seconds.
    """

    def __init__(self, store: ObjectStore, warm: Warm, keys: KeyRing, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._warm = warm
        self._keys = keys
        self._clock = clock
        self._budget = RetryBudget()
        self._looks: SingleFlight[Look] = SingleFlight()

    def lately(self, key: str) -> tuple[Stored, float] | None:
        """What this instance made sure of within the last minute, and how many seconds ago."""
        return self._warm.lately(key, self._clock())

    async def find(self, key: str) -> Look:
        """What there is, by memory or one HEAD. The bytes are not proved.

        Where OSS cannot be asked, permanent audio in memory is still right: only its deletion could be missed, and a
        player that is refused throws its own good copy away (FreeSWITCH's mod_httapi does).

        Raises
        ------
        StorageError
            OSS could not be asked, and memory has nothing to go by.
        """
        known = self._warm.fresh(key, self._clock())
        if known is not None:
            return _judged(known)
        return await self._looks.run(("head", key), lambda: self._head(key))

    async def audio(self, key: str) -> Look:
        """What there is, with its proved bytes: from memory (made sure of by one HEAD) or by one GET.

        Raises
        ------
        StorageError
            OSS could not be asked, and memory has nothing to go by.
        """
        known = self._warm.stale(key, self._clock())
        if known is not None and known.body is not None:
            look = await self.find(key)
            if look.stored is None or look.stored.body is not None:
                return look
        return await self._looks.run(("get", key), lambda: self._get(key, keep=True))

    async def master(self, key: str) -> Look:
        """What there is, with its proved bytes, by one GET. Nothing is remembered: masters are seldom read again."""
        return await self._get(key, keep=False)

    async def publish(
        self,
        key: str,
        body: bytes,
        content_type: str,
        metadata: Mapping[str, str],
        *,
        replace: bool,
        keep: bool = True,
        beside: Callable[[], Awaitable[object]] | None = None,
    ) -> Stored:
        """Publish, and answer what lies there afterwards: the first writer's, which may be somebody else's.

        Parameters
        ----------
        replace
            What lies there is known to be damaged, expired or unwanted, and is written over.
        keep
            Whether the bytes are worth remembering.
        beside
            Another look that is to follow the writing; done while this one looks, after each writing.

        Raises
        ------
        StorageError
            It may be published or not.
        """
        entries = storage.bound(metadata, key, await self._keys.current())
        for _ in range(_ROUNDS):
            etag = await self._put(key, body, content_type, entries, replace)
            # Look again: simultaneous first writes may both pass [OSS, overwrite rules], and only the answer to a
            # reader names the Last-Modified that every other reader gets.
            self._warm.drop(key)
            looking = self._get(key, keep=keep) if etag is None else self._head(key)
            look = await looking if beside is None else (await both(looking, beside()))[0]
            found = look.intact
            if found is not None and found.body is None:
                if found.etag != etag:
                    found = (await self._get(key, keep=keep)).intact
                else:
                    found = dataclasses.replace(found, body=body)
                    if keep:
                        self._warm.keep(found, self._clock())
            if found is not None:
                return found
            replace = True
        raise StorageError("What was published cannot be read back.", code="oss.damaged")

    async def delete(self, *keys: str) -> None:
        """Delete objects and forget them; what is not there is no error."""
        for key in keys:
            await self._store.delete(key)
            self._warm.drop(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[str]:
        """Up to `limit` keys below a prefix that come after `after`."""
        return await self._store.list(prefix, after=after, limit=limit)

    def forget(self, prefix: str) -> None:
        """Forget what this instance knows below a prefix, so that it looks again."""
        self._warm.drop_all(prefix)

    async def _put(
        self, key: str, body: bytes, content_type: str, metadata: dict[str, str], replace: bool
    ) -> str | None:
        """Write, and answer the ETag; None where something is there already.

        What was paid for is tried twice: here where only the first writer may win, which the store does not repeat.
        """

        async def put() -> ObjectInfo:
            return await self._store.put(
                key, body, content_type=content_type, metadata=metadata, forbid_overwrite=not replace
            )

        attempts = 1 if replace else 2
        request = context.current_or_none()
        deadline = request.deadline if request else Deadline.after(_PUT_SECONDS)
        try:
            return (
                await retrying(
                    put, operation="oss.PutObject", deadline=deadline, budget=self._budget, attempts=attempts
                )
            ).etag
        except AlreadyExists:
            return None

    async def _head(self, key: str) -> Look:
        asked_at = self._clock()
        before = self._warm.stale(key, asked_at)
        remembered = before if before is not None and before.expires_at is None else None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS if remembered else None):
                info = await self._store.head(key)
        except (StorageError, Overloaded, DeadlineExceeded, TimeoutError):
            if remembered is None:
                raise
            self._warm.trust(key, asked_at)  # or every hit would wait for OSS for as long as it is down
            return _judged(remembered)
        if info is None:
            self._warm.drop(key)
            return _MISSING
        found = await self._proved(info)
        if found is not None and before is not None and before.etag == found.etag:
            found = dataclasses.replace(found, body=before.body)
        return self._seen(key, found, asked_at)

    async def _get(self, key: str, *, keep: bool) -> Look:
        asked_at = self._clock()
        answer = await self._store.get(key)
        if answer is None:
            self._warm.drop(key)
            return _MISSING
        return self._seen(key, await self._proved(*answer), asked_at, keep=keep)

    async def _proved(self, info: ObjectInfo, body: bytes | None = None) -> Stored | None:
        version = storage.key_version(info)
        return None if version is None else storage.read(info, await self._keys.knowing(version), body)

    def _seen(self, key: str, found: Stored | None, asked_at: float, *, keep: bool = True) -> Look:
        if found is None:
            self._warm.drop(key)
            *_, slot, name = key.split("/")
            is_master = key.startswith("masters/")
            logs.event("prompt.damaged", level="warning", prompt_id=None if is_master else slot, rendition=name)
            return _DAMAGED
        if keep:
            self._warm.keep(found, asked_at)
        return _judged(found)


def _judged(found: Stored) -> Look:
    return Look(Health.INTACT if found.life_seconds > 0 else Health.EXPIRED, found)
