"""The one coordination primitive: an appendable object in OSS, written by compare-and-swap.

A journal is JSON lines, one AppendObject per record. AppendObject takes effect only at the position that is the
object's length, so a record appended "after" a snapshot is appended only if nobody wrote since: who gets 409
PositionNotEqualToLength was second, reads again and decides again. This works with versioning on, where
`x-oss-forbid-overwrite` does not.

An answer can be lost (timeout, dropped connection, 5xx) while the append stands, or is still on its way. Each record
carries a nonce, so that it can be recognised: read back, and where nothing stands yet, append the very same bytes at
the very same position again. Of the two at most one can take effect, whichever arrives first.

A journal is never deleted while somebody may still read it: positions of the old one would be taken for the new one's.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from isikit.errors import PositionConflict, StorageError
from isikit.objects import ObjectStore, Tail

Record = dict[str, Any]

MAX_RECORD_BYTES: Final = 8 * 1024
ATTEMPTS: Final = 4  # of one append whose answers stay unclear
FIRST_PAUSE_SECONDS: Final = 0.05


class JournalTorn(StorageError):
    """The journal's bytes are not whole lines of JSON objects: somebody else wrote there. Not to be skipped over."""

    code = "journal.torn"
    retryable = False


class RecordTooLarge(StorageError):
    """A record of more than `MAX_RECORD_BYTES`: what is large belongs into an object that the record names."""

    code = "journal.record_too_large"
    retryable = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A journal as it was at one moment.

    Parameters
    ----------
    records
        All records, oldest first, each with its `nonce`.
    position
        The object's length in bytes; where the next record goes.
    server_time
        OSS's `Date` of the answer that showed this, seconds since the epoch.
    """

    records: tuple[Record, ...]
    position: int
    server_time: float


def _new_nonce() -> str:
    return secrets.token_hex(8)


class Journal:
    """One journal. Reads fetch only what came since the last; safe to use from several tasks.

    An append whose answer stays unclear is tried four times, outside of `isikit.retry` and its budget: only here can an
    earlier attempt be told from somebody else's record (by its nonce), and giving up would leave the caller not knowing
    whether it holds a claim or has finished a job. It adds no load to speak of: one look for each repeated append.

    Parameters
    ----------
    store
        The bucket.
    key
        Of the object, e.g. `jobs/{id}.jsonl`. It comes into being with the first record.
    new_nonce, pause
        For tests that need the same bytes each time, and no waiting between attempts.
    """

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        *,
        new_nonce: Callable[[], str] = _new_nonce,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.key = key
        self._store = store
        self._new_nonce = new_nonce
        self._pause = pause
        self._known = Snapshot((), 0, 0.0)

    async def read(self) -> Snapshot:
        """The journal now; a missing one has no records and position 0.

        Raises
        ------
        JournalTorn
            The bytes are not a journal.
        StorageError
            OSS could not be asked.
        """
        known = self._known
        if known.position:
            # One byte before is read along: it must be the end of a line, or this is another object than before.
            tail = await self._store.tail(self.key, start=known.position - 1)
            if tail.end >= known.position and tail.data[:1] == b"\n":
                return self._learn(known, tail.data[1:], tail)
        tail = await self._store.tail(self.key)
        self._known = Snapshot((), 0, 0.0)
        return self._learn(self._known, tail.data, tail)

    async def append(self, record: Mapping[str, Any], after: Snapshot) -> Snapshot:
        """Append `record` if the journal is still as `after` shows it, and return it with the record.

        Raises
        ------
        PositionConflict
            Somebody wrote since; the record does not stand and never will. Read again.
        RecordTooLarge
            Nothing was written.
        StorageError
            Answers stayed unclear: the record may stand or not. A later `read` shows it, by its content.
        """
        written: Record = {**record, "nonce": self._new_nonce()}
        line = msgspec.json.encode(written) + b"\n"
        if len(line) > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"a journal record has at most {MAX_RECORD_BYTES} bytes")
        unclear: StorageError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._pause(FIRST_PAUSE_SECONDS * 2**attempt * (0.5 + random.random()))  # noqa: S311 - jitter
            try:
                position, server_time = await self._store.append(self.key, after.position, line)
                return self._keep(Snapshot((*after.records, written), position, server_time))
            except PositionConflict:
                if unclear is None:
                    raise  # later on, what stands there may be our own earlier attempt
            except StorageError as error:
                if not error.retryable:
                    raise
                unclear = error
            if (found_at := await self._standing_since(line, after)) is not None:
                return self._keep(Snapshot((*after.records, written), after.position + len(line), found_at))
        raise unclear or AssertionError("only unclear answers are tried again")

    async def _standing_since(self, line: bytes, after: Snapshot) -> float | None:
        """The server time at which `line` was seen to stand after `after`, or None where nothing stands there (yet)."""
        try:
            tail = await self._store.tail(self.key, start=after.position)
        except StorageError as error:
            if not error.retryable:
                raise
            return None
        if tail.data.startswith(line):
            return tail.server_time
        if tail.end != after.position:
            raise PositionConflict
        return None

    def _learn(self, known: Snapshot, data: bytes, tail: Tail) -> Snapshot:
        records = known.records + tuple(self._parse(data, known.position))
        return self._keep(Snapshot(records, known.position + len(data), tail.server_time))

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        if snapshot.position >= self._known.position:
            self._known = snapshot
        return snapshot

    def _parse(self, data: bytes, position: int) -> Iterator[Record]:
        if data and not data.endswith(b"\n"):
            raise JournalTorn(f"the last line of {self.key} has no end")
        for line in data.splitlines(keepends=True):
            try:
                yield msgspec.json.decode(line, type=Record)
            except (msgspec.MsgspecError, RecursionError) as error:
                raise JournalTorn(f"{self.key} holds no record at byte {position}") from error
            position += len(line)
