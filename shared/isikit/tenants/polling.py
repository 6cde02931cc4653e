"""The current version of the tenants file: polled by ETag, and never worse than the last good one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from isikit import logs
from isikit.errors.tree import IsiError, TenantsUnavailable
from isikit.storage_clock import StorageClock
from isikit.tenants.parsing import parse
from isikit.tenants.schema import TenantsFile

POLL_SECONDS = 30.0
RETRY_SECONDS = 2.0
HEAD_SECONDS = 1.0  # that one request waits for OSS while a good version is at hand
RECENT_SECONDS = 2 * POLL_SECONDS
MISTAKES_LOGGED = 20


class Reader(Protocol):
    """What is needed of an object store here."""

    async def head(self, key: str) -> Any:
        """Something with an `etag` and a `server_time`, or None when the object is not there."""
        ...

    async def get(self, key: str) -> tuple[Any, bytes] | None:
        """The same with its bytes."""
        ...


class Tenants:
    """The current tenants, at most 30 s old by wall time while OSS answers.

    One request asks OSS, for a second at most when a good version is at hand; nothing runs in the background. The
    others go on with that version meanwhile, so that an OSS that hangs holds up one request and not all. But when
    nobody has asked for a minute they wait for the answer: a frozen instance must not believe on thaw what was true
    before.

    Every answer tells OSS's time as well: `now` is that, for all who judge absolute times.

    Parameters
    ----------
    store
        The state bucket.
    key
        The object, `settings.tenants_key`.
    clock
        This machine's wall time in seconds.
    """

    def __init__(
        self, store: Reader, key: str = "config/tenants.json", *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._storage_clock = StorageClock(clock)
        self._lock = asyncio.Lock()
        self._file: TenantsFile | None = None
        self._etag = ""
        self._check_after = 0.0
        self._checked_at = 0.0

    async def current(self) -> TenantsFile:
        """The tenants.

        A new version that is wrong, missing or out of reach is refused with an event, and the old one stays.

        Raises
        ------
        TenantsUnavailable
            There has been no good version yet.
        """
        if not self._fresh() and not (self._lock.locked() and self._recent()):
            async with self._lock:
                if not self._fresh():
                    await self._check()
        if self._file is None:
            # Callers are told that there are no tenants, not what is wrong with the operator's file.
            raise TenantsUnavailable
        return self._file

    def now(self) -> float:
        """OSS's time, epoch seconds, as the last answer told it: this machine's clock may be minutes off."""
        return self._storage_clock.now()

    def _fresh(self) -> bool:
        # A clock that was set back would make the file look fresh for as long as it was set back: then check as well.
        return self._checked_at <= self._clock() < self._check_after

    def _recent(self) -> bool:
        """Whether there is a good version that was asked about lately, with or without an answer."""
        return self._file is not None and 0 <= self._clock() - self._checked_at < RECENT_SECONDS

    async def _check(self) -> None:
        try:
            await self._refresh()
        except IsiError as error:
            _complain(error)
            self._settled(RETRY_SECONDS)
        else:
            self._settled(POLL_SECONDS)

    async def _refresh(self) -> None:
        if self._etag:
            info = await self._head()
            if info is None:
                raise TenantsUnavailable("The list of tenants is not there.")
            if info.etag == self._etag:
                return
        found = await self._timed(self._store.get(self._key))
        if found is None:
            raise TenantsUnavailable("The list of tenants is not there.")
        info, data = found
        self._etag = info.etag  # a bad version is read and complained about once, not every 30 s
        self._file = parse(data)
        logs.event("tenants.loaded", count=len(self._file.tenants))

    async def _head(self) -> Any:
        if self._file is None:
            return await self._timed(self._store.head(self._key))
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return await self._timed(self._store.head(self._key))
        except TimeoutError as error:
            raise TenantsUnavailable("OSS did not say in time whether the list of tenants changed.") from error

    async def _timed(self, asking: Awaitable[Any]) -> Any:
        asked_at = self._clock()
        answer = await asking
        if answer is not None:
            info = answer[0] if isinstance(answer, tuple) else answer
            self._storage_clock.heard(info.server_time, asked_at)
        return answer

    def _settled(self, seconds: float) -> None:
        self._checked_at = self._clock()
        self._check_after = self._checked_at + seconds


def _complain(error: IsiError) -> None:
    logs.failure("tenants.refused", error, count=len(error.errors))
    for mistake in error.errors[:MISTAKES_LOGGED]:
        logs.event("tenants.refused", level="error", field=mistake.name, reason=mistake.code)
