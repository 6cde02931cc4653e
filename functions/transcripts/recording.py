"""The ways to a recording's job: its event, the timer, a callback, an operator's wish. All of them `walk`."""

from __future__ import annotations

from functions.transcripts import source
from functions.transcripts.delivery import Delivered, Delivery
from functions.transcripts.events import Created
from functions.transcripts.hearing import REPLACED
from functions.transcripts.job import job_id
from functions.transcripts.job_journal import JobJournal
from functions.transcripts.job_view import view
from functions.transcripts.next_step import Close, Linger, decide
from functions.transcripts.process import Transcripts
from functions.transcripts.walk import reopen, walk
from isikit import logs
from isikit.host import context
from isikit.host.context import Deadline
from isikit.journal import JournalTorn


async def deliver(created: Created, process: Transcripts, owner: str, deadline: Deadline) -> Delivered:
    """Bring the job of this recording to its end, unless somebody else is doing so.

    Raises
    ------
    IsiError
        The job has not ended; the event must be delivered again.
    """
    identifier = job_id(created.bucket, created.key, created.etag)
    journal = JobJournal(process.state, identifier, process.clock, process.pause)
    if await journal.read() is None:
        await _receive(created, journal, process)
    return await walk(Delivery(created, journal, process, owner, deadline))


async def resume(identifier: str, process: Transcripts, deadline: Deadline, owner: str = "resumed") -> Delivered:
    """Take the next steps of a job that nobody may be on: finish, fetch the result, submit again, or give up.

    Returns
    -------
    Delivered
        `claimed` where somebody is on it, `submitted` where the service still has it, `unknown` where there is no
        such job.

    Raises
    ------
    IsiError
        As `deliver`.
    """
    journal = JobJournal(process.state, identifier, process.clock, process.pause)
    if await journal.read() is None:
        return Delivered(identifier, "unknown")
    return await walk(Delivery(None, journal, process, owner, deadline))


async def announce(created: Created, process: Transcripts, owner: str, deadline: Deadline) -> bool:
    """Open a job for a recording whose event may never have come, or another generation; work on it is left to others.

    Returns
    -------
    bool
        Whether there is something to do now that nobody knew of.
    """
    identifier = job_id(created.bucket, created.key, created.etag)
    journal = JobJournal(process.state, identifier, process.clock, process.pause)
    job = await journal.read()
    opened, over = job is None, False
    if job is None:
        await _receive(created, journal, process)
    elif isinstance(decide(job, journal.now), Linger | Close):
        opened = await reopen(Delivery(created, journal, process, owner, deadline), job)
        over = not opened
    job = journal.job
    if job is None:
        raise JournalTorn("a journal that was written has no records")
    await (journal.know(job) if over else journal.file(job))
    return opened


async def replay(
    identifier: str, generation: int, process: Transcripts, deadline: Deadline, owner: str = "replay"
) -> Delivered:
    """Do a job anew if `generation` is still its latest; in any case bring it to its end. The old one is kept.

    The same call again changes nothing more: by then its latest generation is another.

    Raises
    ------
    IsiError
        As `deliver`.
    """
    journal = JobJournal(process.state, identifier, process.clock, process.pause)
    job = await journal.read()
    if job is None:
        return Delivered(identifier, "unknown")
    delivery = Delivery(None, journal, process, owner, deadline)
    if job.latest.number == generation and isinstance(decide(job, journal.now), Linger | Close):
        current = await process.recordings.head(job.key)
        if current is None or current.etag != job.etag:
            logs.event("job.replay_refused", level="warning", job_id=job.id, reason=REPLACED)
            return Delivered(identifier, "ended", view(job, job.latest))
        again = Created(job.bucket, job.key, job.etag, uploaded_at=job.latest.uploaded_at)
        if await journal.reopen(generation + 1, again, replay=True):
            logs.event("job.replayed", job_id=job.id, generation=generation + 1)
    return await walk(delivery)


async def _receive(created: Created, journal: JobJournal, process: Transcripts) -> None:
    traced = await source.trace(created, process.recordings)
    context.update(call_id=context.call_id_of(traced.call_id))
    if await journal.receive(created, traced):
        logs.event("job.received", job_id=journal.id, bucket_kind="recordings", bytes=created.size)
