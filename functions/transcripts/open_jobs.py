"""What is done for a job when the speech service calls back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.transcripts.callbacks import Callback, CallbackSpent, task_in
from functions.transcripts.delivery import Delivered
from functions.transcripts.events import Resume
from functions.transcripts.handover import EXPECTED_SECONDS
from functions.transcripts.job_journal import JobJournal
from functions.transcripts.recording import resume
from isikit import logs

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline


async def called_back(
    callback: Callback, body: bytes, process: Transcripts, deadline: Deadline, owner: str
) -> Delivered:
    """Have the job of a callback looked after whose proof was good: by an asynchronous call of this function to itself.

    The speech service need not wait then, the platform repeats what fails, and what the call answers goes to the
    destination of asynchronous calls, as it does for jobs that an event or the timer ended. Where there can be no such
    call it is done here.

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
    if await process.leave(Resume(job.id).event()):
        logs.event("job.left", job_id=job.id, generation=callback.generation)
        return Delivered(job.id, "left")
    return await resume(callback.job, process, deadline, owner)
