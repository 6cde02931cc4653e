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

from functions.transcripts import attempt as attempts
from functions.transcripts import handover, hearing, notify, publish, report
from functions.transcripts.delivery import Delivered, Delivery, Outcome
from functions.transcripts.job import MAX_CRASHES, Job, Terminal, Verdict
from functions.transcripts.job_view import view
from functions.transcripts.marks import untold_key
from functions.transcripts.next_step import (
    Ask,
    Await,
    Begin,
    Claimed,
    Close,
    Linger,
    Publish,
    Resubmit,
    Step,
    Tell,
    Wait,
    decide,
    uploaded_again,
)
from functions.transcripts.process import WATCH_SECONDS
from functions.transcripts.under_claim import work_on
from isikit import logs
from isikit.errors import IsiError
from isikit.host import context
from isikit.journal import JournalTorn
from isikit.nls.filetrans import Unfinished


async def walk(delivery: Delivery) -> Delivered:
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
            return await work_on(delivery, job, n, work)
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
    if await reopen(delivery, job):
        return None
    if isinstance(step, Linger):
        await delivery.journal.file_untold(job)
    return "ended"


async def reopen(delivery: Delivery, job: Job) -> bool:
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
    hearing.check_time(delivery.deadline)
    await journal.file(job)
    # Before the attempt: a tenants file that cannot be read is not this recording's fault, and costs it none.
    tenant = (await process.tenants.current()).find(job.tenant)
    context.update(tenant_id=None if tenant is None else tenant.id)
    return await work_on(
        delivery, job, step.n, attempts.verdict_on(job, step, tenant, journal, process, delivery.deadline)
    )


async def _ask(delivery: Delivery, job: Job, step: Ask) -> Outcome | None:
    """Ask once what has become of a task, and go on from there. Asking costs nothing and needs no claim."""
    journal, process, submission = delivery.journal, delivery.process, step.submission
    if step.crashes >= MAX_CRASHES:
        verdict = handover.failed(job, submission, report.LOST, report.WORDS[report.LOST][1])
        return await work_on(delivery, job, step.n, _said(verdict))
    try:
        answer = await handover.asked(submission, process, delivery.deadline)
    except IsiError:
        if journal.now < submission.at + handover.FORGOTTEN_SECONDS:
            raise
        return await work_on(delivery, job, step.n, _said(handover.unasked(job, submission)))
    if not isinstance(answer, Unfinished):
        work = handover.followed(job, submission, answer, step.n, journal, process, delivery.deadline)
        return await work_on(delivery, job, step.n, work)
    if journal.now >= submission.at + handover.OVERDUE_SECONDS:
        return await work_on(delivery, job, step.n, _said(handover.overdue(job, submission)))
    return "submitted"


async def _said(verdict: Verdict) -> Verdict:
    return verdict


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
