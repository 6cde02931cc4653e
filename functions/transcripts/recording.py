"""The journey of one recording, from the event to the published transcript.

Every delivery of its event walks it from the start and does only what the journal says is missing: it may come twice,
at the same time, or again after the process died anywhere on the way. The event of another upload of the same bytes is
none of these: where the journey had no good end, or another version's transcript has taken the place, it begins anew.

A delivery that finds the job claimed watches the claim. One that is prolonged belongs to somebody who works: the
delivery leaves. One that runs out belonged to a process that died: the delivery takes the job over. So a crash costs
at most the time of one claim, and it needs nobody else to notice it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from functions.transcripts import attempt as attempts
from functions.transcripts import publish, source
from functions.transcripts.events import Created
from functions.transcripts.job import (
    MAX_ATTEMPTS,
    Begin,
    Claimed,
    Close,
    Job,
    Publish,
    Terminal,
    Verdict,
    decide,
    job_id,
    uploaded_again,
)
from functions.transcripts.job_journal import JobJournal
from functions.transcripts.process import CLAIM_SECONDS, RENEW_SECONDS, WATCH_SECONDS, Transcripts
from isikit import logs
from isikit.claims import ClaimLost
from isikit.errors import DeadlineExceeded, IsiError, StorageError
from isikit.host import context
from isikit.host.context import Deadline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one delivery: the job ended, or somebody else is on it."""

    job_id: str
    outcome: Literal["ended", "claimed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a recording's event.

    Attributes
    ----------
    owner
        Of this delivery, as it stands in the journal.
    deadline
        When the outcome must be written.
    """

    created: Created
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
    delivery = Delivery(created, journal, process, owner, deadline)
    job = await journal.read()
    while True:
        if job is None:
            await _receive(delivery)
        else:
            context.update(call_id=context.call_id_of(job.call_id))
            match decide(job, journal.now):
                case Claimed() as claimed:
                    if await _somebody_works(delivery, claimed):
                        logs.event("job.claimed", job_id=journal.id)
                        return Delivered(journal.id, "claimed")
                case Begin() as step:
                    await _attempt(delivery, job, step)
                case Publish():
                    await _publish(delivery, job)
                case Close():
                    await journal.close(job)
                    if not await _reopen(delivery, job):
                        return Delivered(journal.id, "ended")
        job = journal.job


async def _receive(delivery: Delivery) -> None:
    created, journal = delivery.created, delivery.journal
    traced = await source.trace(created, delivery.process.recordings)
    context.update(call_id=context.call_id_of(traced.call_id))
    if await journal.receive(created, traced):
        logs.event("job.received", job_id=journal.id, bucket_kind="recordings", bytes=created.size)


async def _reopen(delivery: Delivery, job: Job) -> bool:
    """Open another generation where the same bytes were uploaded again and that changes something.

    It changes something where there is no transcript: whatever was in the way may be gone. And where there is one,
    but another version's lies in its place.
    """
    created, recordings, latest = delivery.created, delivery.process.recordings, job.latest
    if latest.terminal is None or not uploaded_again(job, created.uploaded_at, created.request_id):
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


async def _attempt(delivery: Delivery, job: Job, step: Begin) -> None:
    """Make one attempt. Afterwards its verdict stands, or somebody else has the job, or an error was raised."""
    journal, process, generation = delivery.journal, delivery.process, job.latest.number
    attempts.check_time(delivery.deadline)
    await journal.file(job)
    # Before the attempt: a tenants file that cannot be read is not this recording's fault, and costs it none.
    tenant = (await process.tenants.current()).find(job.tenant)
    context.update(tenant_id=None if tenant is None else tenant.id)
    if not await journal.begin(generation, step.n, delivery.owner, CLAIM_SECONDS):
        return
    work = attempts.verdict_on(job, step, tenant, process, delivery.deadline)
    try:
        verdict = await _claimed(work, _renewals(delivery, generation, step.n), delivery.deadline)
        await journal.conclude(generation, step.n, verdict)
    except ClaimLost:
        await journal.read()
    except IsiError as error:
        await _give_up(delivery, generation, step, error)


async def _give_up(delivery: Delivery, generation: int, step: Begin, error: IsiError) -> None:
    """Give the job back for another attempt and raise; or, where there is none, make the error the verdict.

    Neither where a verdict stands after all, or somebody else has the job: then there is nothing to give back.
    """
    journal = delivery.journal
    logs.failure("job.attempt_failed", error, level="warning", job_id=journal.id, attempt=step.n)
    try:
        if step.n >= MAX_ATTEMPTS:
            await journal.conclude(generation, step.n, Verdict("failed", error.code, error.advice))
            return
        await journal.give_back(generation, step.n, error.code, crashed=isinstance(error, attempts.Crashed))
    except ClaimLost:
        await journal.read()
    else:
        raise error


async def _publish(delivery: Delivery, job: Job) -> None:
    process, generation = delivery.process, job.latest
    placed = await publish.publish(process.recordings, process.state_bucket, job, generation)
    if await delivery.journal.published(generation.number, placed=placed) and generation.terminal is not None:
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
        duration_ms=round(seconds * 1000),
    )
