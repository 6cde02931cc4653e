"""Recordings whose event never came: found by laying two listings side by side.

Every recording `in/...` that has a job has a mark `at/...` with the same rest of its key, holding its ETag. Both are
listed in the same order, so that a thousand recordings are checked with two LISTs and no other call, and those whose
mark is missing, of another version, or older than the upload are looked at one by one.

A bucket may hold a million recordings of which nothing is to be done. Two walks go over it, a few LISTs in each round,
and begin again when they are through:

- the one over **recent** folders jumps over dates: where it comes upon `2025/03/01/` (or `2025-03-01/`, `20250301/`),
  as in the keys of upload slots, it goes on at the day before yesterday. Where keys have such folders it is
  through in minutes;
- the one over **all** jumps over nothing: a dump of today may lie in folders of last year. A page in which nothing is
  recent costs it one LIST, so it passes three million recordings a day.

What was uploaded more than `LOOK_BACK_SECONDS` ago is left alone: recordings that lay in the bucket before all this was
set up are not transcribed, and paid, unasked. What is younger than `YOUNG_SECONDS` is left for later: its event may
still come. If it comes afterwards, it finds the job and does nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from functions.transcripts.events import INPUT, LONGEST_KEY, Created, why_skipped
from functions.transcripts.marks import KNOWN, known_as, known_key
from functions.transcripts.recording import announce
from isikit import logs
from isikit.host import context
from isikit.host.context import RequestContext

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline
    from isikit.objects import Entry

CHECKPOINT: Final = "sweep/checkpoint.json"
MOST_LISTS: Final = 4
"""In one round, both walks together. With that of the open jobs: five."""
RECENT_LISTS: Final = 2
PAGE: Final = 1000
YOUNG_SECONDS: Final = 600.0
LOOK_BACK_SECONDS: Final = 7 * 86_400.0
RECENT_SECONDS: Final = 2 * 86_400.0
"""How old the day of a folder may be for the quick walk, a day for time zones included."""
AT_ONCE: Final = 8

_DATED: Final = re.compile(r"(?<=/)(\d{4})(/|-|)(\d\d)\2(\d\d)(?=/)")


class Checkpoint(msgspec.Struct, frozen=True):
    """Where the walks go on: after these keys; "" is the beginning."""

    recent: str = ""
    all: str = ""


@dataclass(slots=True)
class _Walk:
    """One walk in one round.

    Attributes
    ----------
    after
        Everything up to this key was looked at.
    lists
        LISTs that it may still make.
    through
        It came to the end of the bucket in this round.
    jumped
        It left something out in this round.
    """

    after: str
    lists: int
    jumps: bool
    through: bool = False
    jumped: bool = False


async def look(process: Transcripts, deadline: Deadline, owner: str) -> float:
    """One round of both walks. Trouble with one recording is logged, and it is met again when the walk comes again.

    Two rounds at once look at the same places, and open each job once.

    Returns
    -------
    float
        OSS's time, seconds since the epoch.

    Raises
    ------
    StorageError
        OSS could not be asked.
    """
    tail = await process.state.tail(CHECKPOINT)
    before, now = _read(tail.data), tail.server_time
    recent = _Walk(before.recent, RECENT_LISTS, jumps=True)
    await _walk(recent, process, deadline, owner, now)
    every = _Walk(before.all, MOST_LISTS - RECENT_LISTS + recent.lists, jumps=False)
    if before.recent == "" and recent.through and not recent.jumped:
        every.after = ""  # that was all there is
    else:
        await _walk(every, process, deadline, owner, now)
    after = Checkpoint(recent.after, every.after)
    if after != before:
        await process.state.put(CHECKPOINT, msgspec.json.encode(after), content_type="application/json")
    return now


def _read(data: bytes) -> Checkpoint:
    """The checkpoint; the beginning where there is none. One that cannot be read is no reason to stop looking."""
    if not data:
        return Checkpoint()
    try:
        return msgspec.json.decode(data, type=Checkpoint)
    except msgspec.MsgspecError as error:
        logs.failure("sweep.checkpoint_unreadable", error)
        return Checkpoint()


async def _walk(walk: _Walk, process: Transcripts, deadline: Deadline, owner: str, now: float) -> None:
    """Go on with a walk as far as its LISTs and the time reach."""
    while walk.lists and not walk.through and deadline.remaining():
        page = await process.recordings.entries(INPUT, after=walk.after, limit=PAGE)
        walk.lists -= 1
        asked = [
            entry
            for entry in page
            if now - LOOK_BACK_SECONDS <= entry.last_modified <= now - YOUNG_SECONDS
            and why_skipped(_created(entry, process), process.recordings_bucket) is None
        ]
        if asked:
            if not walk.lists:
                return  # the next round begins with this page
            known = await process.state.entries(KNOWN, after=_before(asked[0]), limit=PAGE)
            walk.lists -= 1
            if len(known) == PAGE:  # beyond its end nothing is known
                end = _rest(known[-1].key)
                reached = [entry for entry in asked if _rest(entry.key) <= end]
                page = page if len(reached) == len(asked) else [entry for entry in page if _rest(entry.key) <= end]
                cut = len(reached) < len(asked)
                asked = reached
            else:
                cut = False
            await _open(unknown(asked, known), process, deadline, owner)
            if not deadline.remaining():
                return  # perhaps not all: the next round looks again
            if cut:
                walk.after = page[-1].key if page else walk.after
                continue
        if len(page) < PAGE and not (asked and cut):
            walk.after, walk.through = "", True
            return
        walk.after = page[-1].key
        beyond = skipped_to(walk.after, now) if walk.jumps else None
        if beyond is not None:
            walk.after, walk.jumped = beyond, True


def unknown(asked: Sequence[Entry], known: Sequence[Entry]) -> list[Entry]:
    """Those recordings that have no mark, or one of another version, or one from before they were uploaded again."""
    marks = {mark.key: mark for mark in known}
    found = []
    for entry in asked:
        mark = marks.get(known_key(entry.key))
        # The ETag of what is put in one piece is its MD5; where encryption makes it another, the journal is asked.
        digest = hashlib.md5(known_as(entry.etag), usedforsecurity=False).hexdigest().upper()
        if mark is None or mark.etag != digest or mark.last_modified < entry.last_modified:
            found.append(entry)
    return found


def skipped_to(key: str, now: float) -> str | None:
    """After which key to go on where this one lies in the folder of a day too long ago; None where it does not."""
    match = _DATED.search(key)
    if match is None:
        return None
    year, between, month, day = match.groups()
    try:
        dated = date(int(year), int(month), int(day))
    except ValueError:
        return None
    oldest = datetime.fromtimestamp(now - RECENT_SECONDS, UTC).date()
    return None if dated >= oldest else key[: match.start()] + between.join(oldest.isoformat().split("-"))


async def _open(entries: Sequence[Entry], process: Transcripts, deadline: Deadline, owner: str) -> None:
    for start in range(0, len(entries), AT_ONCE):
        if not deadline.remaining():
            return
        await asyncio.gather(*(_opened(entry, process, deadline, owner) for entry in entries[start : start + AT_ONCE]))


async def _opened(entry: Entry, process: Transcripts, deadline: Deadline, owner: str) -> None:
    with context.entered(RequestContext(owner, deadline)):
        try:
            opened = await announce(_created(entry, process), process, owner, deadline)
        except Exception as error:  # noqa: BLE001 - or one that nobody foresaw would end every round at this recording
            logs.failure("sweep.opening_failed", error, level="warning")
            return
    if opened:
        logs.event("sweep.recording_found", level="warning", reason="event.lost")


def _created(entry: Entry, process: Transcripts) -> Created:
    return Created(process.recordings_bucket, entry.key, entry.etag, entry.size, uploaded_at=entry.last_modified)


def _rest(key: str) -> bytes:
    """What `in/...` and `at/...` have in common, as OSS compares it."""
    return key[len(INPUT) :].encode()


def _before(entry: Entry) -> str:
    """The last possible key before the mark of `entry`: a listing goes on *after* what it is told."""
    mark = known_key(entry.key)
    last = ord(mark[-1])
    if last == 0:
        return mark[:-1]
    previous = mark[:-1] + chr(0xD7FF if last == 0xE000 else last - 1)  # there are no characters between the two
    widest = previous + chr(0x10FFFF)
    return widest if len(widest.encode()) <= LONGEST_KEY else previous
