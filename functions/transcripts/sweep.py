"""The timer's round: what nobody else does for a recording is done here.

A round costs one LIST for the open jobs (one per thousand where there are more), and at most `sweep_lost.MOST_LISTS`
to look for recordings whose event never came: five over any number of finished jobs. Nothing of it needs to come to
its end: what a round does not reach, the next one does, and two at once do what one would, because every step of a job
is taken under its claim.

The turns: jobs whose time has come, those of a higher priority and those that waited longest first; in between all
others, oldest first within a shard, beginning at another shard every minute. So nobody waits for ever behind others.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from functions.transcripts import sweep_lost, sweep_settling
from functions.transcripts.delivery import Delivered
from functions.transcripts.recording import resume
from isikit import logs
from isikit.errors import IsiError
from isikit.host import context
from isikit.host.context import RequestContext

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline

PREFIX: Final = "open/"
PAGE: Final = 1000
MOST_MARKS: Final = 20_000
"""Of open jobs that one round looks at: twenty LISTs, and what ten minutes suffice for."""
SHARDS: Final = "0123456789abcdef"
AT_ONCE: Final = 4
PRIORITY_SECONDS: Final = 600.0
"""What one step of priority is worth in waiting, so that a low one is overtaken for an hour and a half at most."""
LOOKING_SHARE: Final = 0.25
"""Of a round's time that looking for lost recordings may take: those that are known come first."""

HOUR: Final = "%Y%m%dT%H"
HOUR_SECONDS: Final = 3600
_MARK: Final = re.compile(r"open/([0-9a-f])/([0-9]{8}T[0-9]{2})-([0-9a-f]{64})(?:\.(\d{1,12})\.(\d))?\Z")


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of an open job. `due_at` (epoch seconds) and `priority` where it waits, or waited, for its turn.

    `hour` is when it was opened.
    """

    key: str
    shard: str
    hour: str
    job: str
    due_at: float | None = None
    priority: int = 0

    @classmethod
    def read(cls, key: str) -> Mark | None:
        """The mark of that key; None where it is none."""
        match = _MARK.match(key)
        if match is None:
            return None
        shard, hour, job, due_at, priority = match.groups()
        return cls(key, shard, hour, job, None if due_at is None else float(due_at), int(priority or 0))


def turns(marks: Iterable[Mark], first: str, now: float) -> list[Mark]:
    """Those whose turn it is, in order; one for each job.

    Parameters
    ----------
    marks
        In the order of their keys.
    first
        The shard to begin with.
    now
        Seconds since the epoch, by OSS's clock.
    """
    every = list(marks)
    waited = [mark for mark in every if mark.due_at is not None and mark.due_at <= now]
    waited.sort(key=lambda mark: ((mark.due_at or 0.0) - PRIORITY_SECONDS * mark.priority, mark.key))
    others = [mark for mark in every if mark.due_at is None]
    others.sort(key=lambda mark: (mark.shard < first, mark.key))
    both = chain.from_iterable(zip_longest(waited, others))
    return list({mark.job: mark for mark in reversed([one for one in both if one is not None])}.values())[::-1]


async def sweep(process: Transcripts, deadline: Deadline, owner: str) -> list[Delivered]:
    """One round, until all had their turn or the time is over.

    Trouble with one recording is logged and does not keep the others from their turn: the timer comes again.

    Returns
    -------
    list
        What became of the jobs that had their turn.

    Raises
    ------
    StorageError
        The open jobs cannot be listed.
    """
    now = process.clock()
    try:
        now = await sweep_lost.look(process, deadline.sooner(LOOKING_SHARE * deadline.remaining()), owner)
    except IsiError as error:
        logs.failure("sweep.looking_failed", error, level="warning")
    first = SHARDS[int(process.clock() / 60) % len(SHARDS)]
    keys = await _listed(process, first)
    settling = [key for key in keys if key.startswith(sweep_settling.PREFIX)]
    await sweep_settling.settle(settling, process, deadline.sooner(LOOKING_SHARE * deadline.remaining()), owner, now)
    todo = deque(turns((mark for mark in map(Mark.read, keys) if mark is not None), first, now))
    found: list[Delivered] = []
    workers = [
        asyncio.ensure_future(_worked(todo, found, process, deadline, owner)) for _ in range(min(AT_ONCE, len(todo)))
    ]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    logs.event("sweep.finished", count=len(found), left=len(todo), oldest_seconds=_oldest(keys, now))
    return found


def _oldest(keys: Iterable[str], now: float) -> int:
    """Since when, at least, the oldest job is open whose turn it is: marks have whole hours. 0 where there is none.

    Those that wait for their turn, or for their tenant's webhook to answer, are no sign that something hangs.
    """
    hours = [mark.hour for mark in map(Mark.read, keys) if mark is not None and mark.due_at is None]
    if not hours:
        return 0
    try:
        full_hour = datetime.strptime(min(hours), HOUR).replace(tzinfo=UTC)
    except ValueError:
        return 0  # no hour of ours
    return max(0, round(now - full_hour.timestamp() - HOUR_SECONDS))


async def _listed(process: Transcripts, first: str) -> list[str]:
    """The marks of open jobs: all, or as many as a round can take, from shard `first` on."""
    keys = await process.state.list(PREFIX, limit=PAGE)
    if len(keys) < PAGE:
        return keys
    start = f"{PREFIX}{first}"
    keys = await process.state.list(PREFIX, after=start, limit=MOST_MARKS)
    if len(keys) < MOST_MARKS:
        keys += [key for key in await process.state.list(PREFIX, limit=MOST_MARKS - len(keys)) if key <= start]
    return keys


async def _worked(
    todo: deque[Mark], found: list[Delivered], process: Transcripts, deadline: Deadline, owner: str
) -> None:
    while todo and deadline.remaining():
        mark = todo.popleft()
        with context.entered(RequestContext(owner, deadline)):
            try:
                delivered = await resume(mark.job, process, deadline, owner)
                if delivered.outcome == "ended" and mark.due_at is not None and mark.key != delivered.mark:
                    await process.state.delete(mark.key)  # that of an earlier turn
            except Exception as error:  # noqa: BLE001 - the other jobs must have their turn
                logs.failure("job.resume_failed", error, level="warning", job_id=mark.job)
            else:
                found.append(delivered)
