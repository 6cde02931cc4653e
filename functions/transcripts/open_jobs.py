"""What is done for a job when the speech service calls back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.transcripts.callbacks import Callback, CallbackSpent, task_in
from functions.transcripts.handover import EXPECTED_SECONDS
from functions.transcripts.job_journal import JobJournal
from functions.transcripts.recording import Delivered, resume
from isikit import logs

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline


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
