"""What is done for jobs when no event of theirs comes: when the service calls back, and when the timer goes off.

The timer reads the index `open/`, which holds the jobs without an outcome and no others, so that it costs one LIST per
thousand of them. It begins at another shard every minute, because it stops when its time is over: no shard waits for
ever behind others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.transcripts.callbacks import Callback, CallbackSpent, task_in
from functions.transcripts.handover import EXPECTED_SECONDS
from functions.transcripts.job_journal import JobJournal
from functions.transcripts.recording import Delivered, resume
from isikit import logs
from isikit.errors import IsiError
from isikit.host import context
from isikit.host.context import RequestContext

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline

PREFIX: Final = "open/"
PAGE: Final = 1000
SHARDS: Final = "0123456789abcdef"


async def called_back(
    callback: Callback, body: bytes, process: Transcripts, deadline: Deadline, owner: str
) -> Delivered:
    """Look after the job of a callback whose proof was good.

    Nothing that it says is believed. Only where the name of the task was lost, the one it gives is taken as a hint:
    the service is asked for it like for any other.

    Raises
    ------
    CallbackSpent
        The submission is not waited for.
    IsiError
        The job has not ended.
    """
    journal = JobJournal(process.state, callback.job, process.clock, process.pause)
    job = await journal.read()
    pending = None if job is None or job.latest.terminal is not None else job.latest.pending
    if (
        job is None
        or pending is None
        or (job.latest.number, pending.number)
        != (
            callback.generation,
            callback.submission,
        )
    ):
        raise CallbackSpent
    if pending.task is None and (task := task_in(body)) is not None:
        await journal.submitted(callback.generation, callback.submission, task, EXPECTED_SECONDS)
        logs.event("job.task_found", job_id=job.id, generation=callback.generation)
    return await resume(callback.job, process, deadline, owner)


async def go_through(process: Transcripts, deadline: Deadline, owner: str) -> list[Delivered]:
    """Resume the open jobs, oldest first within a shard, until all had their turn or the time is over.

    Trouble with one is logged and does not keep the others from their turn: the timer comes again.
    """
    first = SHARDS[int(process.clock() / 60) % len(SHARDS)]
    found: list[Delivered] = []
    for start, end in ((f"{PREFIX}{first}", ""), (PREFIX, f"{PREFIX}{first}")):
        after = start
        while deadline.remaining():
            keys = await process.state.list(PREFIX, after=after, limit=PAGE)
            for key in keys:
                if (end and key >= end) or not deadline.remaining():
                    break
                with context.entered(RequestContext(owner, deadline)):
                    found += await _resumed(key.rpartition("-")[2], process, deadline, owner)
            if len(keys) < PAGE or (end and keys[-1] >= end):
                break
            after = keys[-1]
    return found


async def _resumed(identifier: str, process: Transcripts, deadline: Deadline, owner: str) -> list[Delivered]:
    try:
        return [await resume(identifier, process, deadline, owner)]
    except IsiError as error:
        logs.failure("job.resume_failed", error, level="warning", job_id=identifier)
        return []
