"""The journey of one recording, from the event to the published transcript.

Every delivery of its event walks it from the start and does only what the journal says is missing: it may come twice,
at the same time, or again after the process died anywhere on the way. The event of another upload of the same bytes is
none of these: where the journey had no good end, or another version's transcript has taken the place, it begins anew.

A delivery that finds the job claimed watches the claim. One that is prolonged belongs to somebody who works: the
delivery leaves. One that runs out belonged to a process that died: the delivery takes the job over. So a crash costs
at most the time of one claim, and it needs nobody else to notice it.

A recording that was handed over to the service's queue is nobody's meanwhile. Whoever comes next asks once what has
become of it and goes again: the service's callback, the timer that goes through the open jobs, a repeated event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeVar

from functions.transcripts import attempt as attempts
from functions.transcripts import handover, notify, publish, report, source
from functions.transcripts.events import Created
from functions.transcripts.handover import LetGo
from functions.transcripts.job import (
    MAX_ATTEMPTS,
    MAX_CRASHES,
    Ask,
    Await,
    Begin,
    Claimed,
    Close,
    Job,
    Linger,
    Postponed,
    Publish,
    Resubmit,
    Step,
    Tell,
    Terminal,
    Verdict,
    Wait,
    decide,
    job_id,
    uploaded_again,
)
from functions.transcripts.job_journal import JobJournal, untold_key
from functions.transcripts.job_view import view
from functions.transcripts.process import CLAIM_SECONDS, RENEW_SECONDS, WATCH_SECONDS, Transcripts
from isikit import logs
from isikit.claims import ClaimLost
from isikit.errors import DeadlineExceeded, IsiError, StorageError
from isikit.host import context
from isikit.host.context import Deadline
from isikit.journal import JournalTorn
from isikit.nls.filetrans import Unfinished

T = TypeVar("T")

Outcome = Literal["ended", "claimed", "submitted", "waiting", "left", "unknown"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one delivery: the job ended, somebody else is on it or will be, or the service has it.

    Attributes
    ----------
    told
        Of a job that ended: its latest generation as callers see it. Names and paths, no text.
    mark
        Of a job that ended: what marks it as open until its webhook is told; "" where nothing is left to be done.
    """

    job_id: str
    outcome: Outcome
    told: Mapping[str, Any] = field(default_factory=dict)
    mark: str = ""

    def answer(self) -> dict[str, Any]:
        """What the function answers about it, and so what a destination of asynchronous calls gets."""
        return {**self.told, "id": self.job_id, "outcome": self.outcome}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a recording's event, or a look at its job.

    Attributes
    ----------
    created
        What the event told; None where there is none: then nothing is waited for, and no generation opened.
    owner
        Of this delivery, as it stands in the journal.
    deadline
        When the outcome must be written.
    """

    created: Created | None
    journal: JobJournal
    process: Transcripts
    owner: str
    deadline: Deadline


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
    return await _walk(Delivery(created, journal, process, owner, deadline))


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
    return await _walk(Delivery(None, journal, process, owner, deadline))


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
        opened = await _reopen(Delivery(created, journal, process, owner, deadline), job)
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
            logs.event("job.replay_refused", level="warning", job_id=job.id, reason=attempts.REPLACED)
            return Delivered(identifier, "ended", view(job, job.latest))
        again = Created(job.bucket, job.key, job.etag, uploaded_at=job.latest.uploaded_at)
        if await journal.reopen(generation + 1, again, replay=True):
            logs.event("job.replayed", job_id=job.id, generation=generation + 1)
    return await _walk(delivery)


async def _walk(delivery: Delivery) -> Delivered:
    """Do what the journal says is missing, step by step."""
    journal = delivery.journal
    while (job := journal.job) is not None:
        context.update(call_id=context.call_id_of(job.call_id))
        outcome = await _step(delivery, job, decide(job, journal.now))
        if outcome is not None:
            if outcome != "ended":
                logs.event("job.claimed" if outcome == "claimed" else "job.awaited", job_id=journal.id)
                return Delivered(journal.id, outcome)
            return Delivered(journal.id, outcome, view(job, job.latest), untold_key(job) or "")
    raise JournalTorn("a journal that was read has no records any more")


async def _step(delivery: Delivery, job: Job, step: Step) -> Outcome | None:
    """Take one step; what became of the delivery where it was the last."""
    journal, process = delivery.journal, delivery.process
    match step:
        case Claimed() as claimed:
            return "claimed" if delivery.created is None or await _somebody_works(delivery, claimed) else None
        case Wait():
            await journal.file_waiting(job)
            return "waiting"
        case Begin() if delivery.created is None and job.latest.rests(journal.now):
            return "waiting"
        case Begin() as begin:
            return await _attempt(delivery, job, begin)
        case Ask() as ask:
            return await _ask(delivery, job, ask)
        case Await():
            return "submitted"
        case Resubmit(submission, n):
            work = handover.unanswered(job, submission, n, journal, process, delivery.deadline)
            return await _work(delivery, job, n, work)
        case Publish():
            await _publish(delivery, job)
            return None
        case Tell() as tell:
            await notify.tell(job, tell, journal, process, delivery.deadline)
            return None
        case Linger() | Close():
            return await _over(delivery, job, step)


async def _over(delivery: Delivery, job: Job, step: Linger | Close) -> Outcome | None:
    """Take its marks away, or leave one for the webhook's next try; unless another generation begins."""
    if isinstance(step, Close):
        await delivery.journal.close(job)
    if await _reopen(delivery, job):
        return None
    if isinstance(step, Linger):
        await delivery.journal.file_untold(job)
    return "ended"


async def _receive(created: Created, journal: JobJournal, process: Transcripts) -> None:
    traced = await source.trace(created, process.recordings)
    context.update(call_id=context.call_id_of(traced.call_id))
    if await journal.receive(created, traced):
        logs.event("job.received", job_id=journal.id, bucket_kind="recordings", bytes=created.size)


async def _reopen(delivery: Delivery, job: Job) -> bool:
    """Open another generation where the same bytes were uploaded again and that changes something.

    It changes something where there is no transcript: whatever was in the way may be gone. And where there is one,
    but another version's lies in its place.
    """
    created, recordings, latest = delivery.created, delivery.process.recordings, job.latest
    if created is None or latest.terminal is None or not uploaded_again(job, created.uploaded_at, created.request_id):
        return False
    current = await recordings.head(job.key)
    if current is None or current.etag != job.etag:
        return False  # deleted or overwritten since: the event is of no upload that is still there
    if latest.terminal.verdict.state == "done" and await publish.in_place(recordings, job):
        return False
    if await delivery.journal.reopen(latest.number + 1, created):
        logs.event("job.reopened", job_id=job.id, generation=latest.number + 1, reason=latest.terminal.verdict.reason)
    return True


async def _somebody_works(delivery: Delivery, claimed: Claimed) -> bool:
    """Watch a claim until it is prolonged, or something else happens; False where there is something to do."""
    journal = delivery.journal
    while journal.now < claimed.until:
        delivery.deadline.check()  # too late to take over: the platform delivers again
        await delivery.process.pause(WATCH_SECONDS)
        job = await journal.read()
        if job is not None and (step := decide(job, journal.now)) != claimed:
            return isinstance(step, Claimed)
    return False


async def _attempt(delivery: Delivery, job: Job, step: Begin) -> Outcome | None:
    """Make one attempt. Afterwards there is a verdict, the service has it, somebody else has it, or it raised."""
    journal, process = delivery.journal, delivery.process
    attempts.check_time(delivery.deadline)
    await journal.file(job)
    # Before the attempt: a tenants file that cannot be read is not this recording's fault, and costs it none.
    tenant = (await process.tenants.current()).find(job.tenant)
    context.update(tenant_id=None if tenant is None else tenant.id)
    return await _work(
        delivery, job, step.n, attempts.verdict_on(job, step, tenant, journal, process, delivery.deadline)
    )


async def _ask(delivery: Delivery, job: Job, step: Ask) -> Outcome | None:
    """Ask once what has become of a task, and go on from there. Asking costs nothing and needs no claim."""
    journal, process, submission = delivery.journal, delivery.process, step.submission
    if step.crashes >= MAX_CRASHES:
        verdict = handover.failed(job, submission, report.LOST, report.WORDS[report.LOST][1])
        return await _work(delivery, job, step.n, _said(verdict))
    try:
        answer = await handover.asked(submission, process, delivery.deadline)
    except IsiError:
        if journal.now < submission.at + handover.FORGOTTEN_SECONDS:
            raise
        return await _work(delivery, job, step.n, _said(handover.unasked(job, submission)))
    if not isinstance(answer, Unfinished):
        work = handover.followed(job, submission, answer, step.n, journal, process, delivery.deadline)
        return await _work(delivery, job, step.n, work)
    if journal.now >= submission.at + handover.OVERDUE_SECONDS:
        return await _work(delivery, job, step.n, _said(handover.overdue(job, submission)))
    return "submitted"


async def _said(verdict: Verdict) -> Verdict:
    return verdict


async def _work(
    delivery: Delivery, job: Job, n: int, work: Coroutine[Any, Any, Verdict | LetGo | Postponed]
) -> Outcome | None:
    """Do attempt `n`'s work under its claim, and write the verdict it comes to."""
    journal, generation = delivery.journal, job.latest.number
    try:
        if not await journal.begin(generation, n, delivery.owner, CLAIM_SECONDS):
            return None
        return await _begun(delivery, generation, n, work)
    finally:
        work.close()


async def _begun(
    delivery: Delivery, generation: int, n: int, work: Coroutine[Any, Any, Verdict | LetGo | Postponed]
) -> Outcome | None:
    journal = delivery.journal
    try:
        result = await _claimed(work, _renewals(delivery, generation, n), delivery.deadline)
        if isinstance(result, LetGo):
            return "submitted"
        if isinstance(result, Postponed):
            await journal.postpone(generation, n, result)
            return None  # the next step waits
        await journal.conclude(generation, n, result)
    except ClaimLost:
        await journal.read()
    except IsiError as error:
        await _give_up(delivery, generation, n, error)
    return None


async def _give_up(delivery: Delivery, generation: int, n: int, error: IsiError) -> None:
    """Give the job back for another attempt and raise; or, where there is none, make the error the verdict.

    Neither where a verdict stands after all, or somebody else has the job: then there is nothing to give back. What
    the service has is never given up for our own trouble.
    """
    journal = delivery.journal
    logs.failure("job.attempt_failed", error, level="warning", job_id=journal.id, attempt=n)
    try:
        job = journal.job
        last = job is not None and job.latest.failures(journal.now) + 1 >= MAX_ATTEMPTS
        if last and job is not None and job.latest.pending is None:
            await journal.conclude(generation, n, Verdict("failed", error.code, error.advice))
            return
        await journal.give_back(generation, n, error.code, crashed=isinstance(error, attempts.Crashed))
    except ClaimLost:
        await journal.read()
    else:
        raise error


async def _publish(delivery: Delivery, job: Job) -> None:
    process, generation = delivery.process, job.latest
    placed = await publish.publish(process.recordings, process.state_bucket, job, generation)
    await handover.swept(job, process)
    told = await notify.wanted(job, process)
    if (
        await delivery.journal.published(generation.number, placed=placed, notify=told)
        and generation.terminal is not None
    ):
        _log_finished(job, generation.terminal, process.clock() - generation.opened_at)


async def _claimed(work: Coroutine[Any, Any, T], renewals: Coroutine[Any, Any, NoReturn], deadline: Deadline) -> T:
    """Run `work` until the deadline, while the claim on the job is prolonged. Nothing of either outlives this call.

    Raises
    ------
    ClaimLost
        Somebody else has taken the job over.
    DeadlineExceeded
        `work` took too long, whatever it waited for.
    """
    working, renewing = asyncio.ensure_future(work), asyncio.ensure_future(renewals)
    try:
        done, _ = await asyncio.wait(
            {working, renewing}, timeout=deadline.remaining(), return_when=asyncio.FIRST_COMPLETED
        )
        if working in done:
            return working.result()
        if renewing in done:
            renewing.result()
        raise DeadlineExceeded
    finally:
        working.cancel()
        renewing.cancel()
        await asyncio.gather(working, renewing, return_exceptions=True)


async def _renewals(delivery: Delivery, generation: int, n: int) -> NoReturn:
    """Prolong the claim again and again.

    Raises
    ------
    ClaimLost
        Somebody else has taken the job over.
    """
    journal, process = delivery.journal, delivery.process
    while True:
        await process.pause(RENEW_SECONDS)
        try:
            await journal.renew(generation, n, CLAIM_SECONDS)
        except ClaimLost:
            raise
        except StorageError as error:
            # Not lost yet: the verdict is written by compare-and-swap, whether or not the claim is past by then.
            logs.failure("job.renewal_failed", error, level="warning", job_id=journal.id)


def _log_finished(job: Job, terminal: Terminal, seconds: float) -> None:
    verdict = terminal.verdict
    logs.event(
        "job.finished",
        job_id=job.id,
        generation=job.latest.number,
        attempt=terminal.attempt,
        state=verdict.state,
        reason=verdict.reason,
        mode=verdict.mode,
        audio_seconds=verdict.audio_ms / 1000,
        channels=verdict.channels,
        turns=verdict.turns,
        recognitions=verdict.calls,
        possible_double=verdict.possible_double or None,
        duration_ms=round(seconds * 1000),
    )
