"""One attempt's work, done while its claim on the job is prolonged; its verdict written, or the job given back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from functions.transcripts import hearing
from functions.transcripts.delivery import Delivery, Outcome
from functions.transcripts.handover import LetGo
from functions.transcripts.job import MAX_ATTEMPTS, Job, Postponed, Verdict
from functions.transcripts.process import CLAIM_SECONDS, RENEW_SECONDS
from isikit import logs
from isikit.claims import ClaimLost
from isikit.errors import DeadlineExceeded, IsiError, StorageError
from isikit.host.context import Deadline

T = TypeVar("T")


async def work_on(
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
        await journal.give_back(generation, n, error.code, crashed=isinstance(error, hearing.Crashed))
    except ClaimLost:
        await journal.read()
    else:
        raise error


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
