"""Recordings that are written bit by bit with AppendObject: taken once they have stopped growing.

Every append is an event, and makes another version of the object. So such an event only leaves a mark,
`open/settling/{hash}`, and the round that finds the recording unchanged for `SETTLING_SECONDS` opens the job. An append
whose mark falls between that round's look and the end of it loses it; its version is found by `sweep_lost`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from functions.transcripts.events import Created
from functions.transcripts.recording import announce
from isikit import logs
from isikit.host import context
from isikit.host.context import RequestContext

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline

PREFIX: Final = "open/settling/"
SETTLING_SECONDS: Final = 120.0
MARK_TYPE: Final = "application/json"


class Settling(msgspec.Struct, frozen=True):
    """What a mark holds."""

    key: str


async def remember(created: Created, process: Transcripts) -> None:
    """Leave the mark of a recording that may still grow.

    Raises
    ------
    StorageError
        It could not be left; the event must be delivered again.
    """
    name = hashlib.sha256(created.key.encode()).hexdigest()
    await process.state.put(PREFIX + name, msgspec.json.encode(Settling(created.key)), content_type=MARK_TYPE)


async def settle(marks: Sequence[str], process: Transcripts, deadline: Deadline, owner: str, now: float) -> None:
    """Open jobs for those that have stopped growing, oldest mark or not, until the time is over."""
    for mark in marks:
        if not deadline.remaining():
            return
        with context.entered(RequestContext(owner, deadline)):
            try:
                await _settled(mark, process, deadline, owner, now)
            except Exception as error:  # noqa: BLE001 - the others, and the open jobs, must have their turn
                logs.failure("sweep.settling_failed", error, level="warning")


async def _settled(mark: str, process: Transcripts, deadline: Deadline, owner: str, now: float) -> None:
    found = await process.state.get(mark)
    if found is None:
        return  # another round was first
    try:
        key = msgspec.json.decode(found[1], type=Settling).key
    except msgspec.MsgspecError as error:
        logs.failure("sweep.mark_unreadable", error)
        await process.state.delete(mark)
        return
    info = await process.recordings.head(key)
    if info is not None:
        if now - info.last_modified < SETTLING_SECONDS:
            return
        grown = Created(process.recordings_bucket, key, info.etag, info.size, info.metadata, info.last_modified)
        await announce(grown, process, owner, deadline)
    await process.state.delete(mark)
