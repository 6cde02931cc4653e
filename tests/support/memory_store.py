"""A strict in-memory `ObjectStore`: the rules of OSS, a clock to move, and faults before or after the n-th call."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from isikit.errors import AlreadyExists, PositionConflict, StorageError
from isikit.objects import Entry, ObjectInfo, Stores, Tail
from isikit.objects.oss import metadata_headers
from isikit.objects.store import APPEND_TYPE, LIST_PAGE

Operation = Literal["head", "get", "tail", "put", "append", "delete", "copy", "list"]
When = Literal["before", "after"]
T = TypeVar("T")

MAX_METADATA_BYTES = 8 * 1024  # OSS's limit for all x-oss-meta-* headers together


class MovableClock:
    """OSS's clock, which stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def move(self, seconds: float) -> None:
        """Advance; real clocks do not run backwards for long."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._now += seconds


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it lies in the bucket."""

    data: bytes
    content_type: str
    metadata: dict[str, str]
    last_modified: float
    appendable: bool = False


@dataclass(slots=True)
class ArmedFault:
    """Strikes the calls of `operation` numbered `nth` to `nth + times - 1`, counted from when it was armed."""

    operation: Operation
    nth: int
    times: int
    when: When
    error: Callable[[], BaseException]
    key: str
    seen: int = 0

    def strikes(self, operation: str, key: str) -> bool:
        """Count the call if it matches, and say whether it is hit."""
        if operation != self.operation or self.key not in key:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def unanswered() -> StorageError:
    """What a dropped connection looks like to the caller: it may or may not have happened."""
    error = StorageError("no answer", code="oss.unreachable")
    error.retryable = True
    return error


def refused(code: str, status: int = 409) -> StorageError:
    """A refusal by OSS that is final."""
    error = StorageError("refused by the test's store", code=code)
    error.retryable, error.status = False, status
    return error


@dataclass  # without slots, so that a test may replace one method
class MemoryStore:
    """A bucket in memory.

    Parameters
    ----------
    bucket
        Its name, as `copy` of another store names it.
    clock
        OSS's time; `server_time` is its whole seconds, as in a `Date` header.
    cloud
        The buckets that `copy` can reach, by name; this one is added.
    turn
        Awaited before and after the effect of every call: where a test lets somebody else go first.
    """

    bucket: str = "state"
    clock: MovableClock = field(default_factory=MovableClock)
    cloud: dict[str, MemoryStore] = field(default_factory=dict, repr=False)
    turn: Callable[[], Awaitable[None]] | None = None
    objects: dict[str, StoredObject] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    _faults: list[ArmedFault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cloud[self.bucket] = self

    def fail(
        self,
        operation: Operation,
        *,
        nth: int = 1,
        times: int = 1,
        when: When = "before",
        error: Callable[[], BaseException] = unanswered,
        key: str = "",
    ) -> None:
        """Fail the `nth` call of `operation` from now on, before its effect or after it did but unanswered.

        `key` restricts it to keys that contain the string. `calls[operation]` counts calls whether struck or not.
        """
        self._faults.append(ArmedFault(operation, nth, times, when, error, key))

    def heal(self) -> None:
        """Drop all faults."""
        self._faults.clear()

    async def head(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head`."""
        return await self._call("head", key, lambda: self._info(key))

    async def get(self, key: str, *, start: int = 0) -> tuple[ObjectInfo, bytes] | None:
        """See `ObjectStore.get`."""

        def effect() -> tuple[ObjectInfo, bytes] | None:
            info = self._info(key)
            return None if info is None else (info, self.objects[key].data[start:])

        return await self._call("get", key, effect)

    async def tail(self, key: str, *, start: int = 0) -> Tail:
        """See `ObjectStore.tail`."""

        def effect() -> Tail:
            data = self.objects[key].data if key in self.objects else b""
            return Tail(data[start:], len(data), self._date())

        return await self._call("tail", key, effect)

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> ObjectInfo:
        """See `ObjectStore.put`."""

        def effect() -> ObjectInfo:
            if forbid_overwrite and key in self.objects:
                raise AlreadyExists
            self.objects[key] = StoredObject(bytes(data), content_type, _checked(metadata or {}), self._date())
            info = self._info(key)
            assert info is not None
            return info

        return await self._call("put", key, effect)

    async def append(self, key: str, position: int, data: bytes) -> tuple[int, float]:
        """See `ObjectStore.append`."""

        def effect() -> tuple[int, float]:
            old = self.objects.get(key)
            if old is not None and not old.appendable:
                raise refused("oss.not_appendable")
            before = old.data if old is not None else b""
            if position != len(before):
                raise PositionConflict
            self.objects[key] = StoredObject(before + data, APPEND_TYPE, {}, self._date(), appendable=True)
            return position + len(data), self._date()

        return await self._call("append", key, effect)

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""

        def effect() -> None:
            self.objects.pop(key, None)

        await self._call("delete", key, effect)

    async def copy(self, source_bucket: str, source_key: str, key: str, *, if_match: str = "") -> None:
        """See `ObjectStore.copy`."""

        def effect() -> None:
            source = self.cloud[source_bucket].objects.get(source_key) if source_bucket in self.cloud else None
            if source is None:
                raise refused("oss.no_such_key", 404)
            if if_match and if_match != hashlib.md5(source.data).hexdigest().upper():
                raise refused("oss.precondition_failed", 412)
            self.objects[key] = StoredObject(source.data, source.content_type, dict(source.metadata), self._date())

        await self._call("copy", key, effect)

    async def entries(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[Entry]:
        """See `ObjectStore.entries`; counted as `list`, which it is."""

        def effect() -> list[Entry]:
            found = (key for key in self.objects if key.startswith(prefix) and key.encode() > after.encode())
            infos = (self._info(key) for key in sorted(found, key=str.encode)[:limit])
            return [Entry(info.key, info.size, info.etag, info.last_modified) for info in infos if info is not None]

        return await self._call("list", prefix, effect)

    async def list(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[str]:
        """See `ObjectStore.list`."""
        return [entry.key for entry in await self.entries(prefix, after=after, limit=limit)]

    async def _call(self, operation: str, key: str, effect: Callable[[], T]) -> T:
        self.calls[operation] += 1
        struck = next((fault for fault in self._faults if fault.strikes(operation, key)), None)
        await self._yield()
        if struck is not None and struck.when == "before":
            raise struck.error()
        answer = effect()
        await self._yield()
        if struck is not None:
            raise struck.error()
        return answer

    async def _yield(self) -> None:
        if self.turn is not None:
            await self.turn()

    def _date(self) -> float:
        return float(int(self.clock.now()))

    def _info(self, key: str) -> ObjectInfo | None:
        found = self.objects.get(key)
        if found is None:
            return None
        etag = hashlib.md5(found.data).hexdigest().upper()
        return ObjectInfo(
            key,
            len(found.data),
            etag,
            found.last_modified,
            found.content_type,
            dict(found.metadata),
            self._date(),
        )


def _checked(metadata: Mapping[str, str]) -> dict[str, str]:
    headers = metadata_headers(metadata)
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_METADATA_BYTES:
        raise refused("oss.invalid_argument")
    return dict(metadata)


def memory_stores(clock: MovableClock | None = None) -> Stores:
    """Three buckets on one clock that can copy from each other."""
    clock = clock or MovableClock()
    cloud: dict[str, MemoryStore] = {}
    return Stores(*(MemoryStore(name, clock, cloud) for name in ("prompts", "recordings", "state")))
