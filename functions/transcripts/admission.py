"""Whether a recording may be recognised now: its tenant's quota of the day, and its tenant's pace.

Both are asked once for a generation, when its length is known and before anything is submitted; the journal remembers
that they were. What is over the quota waits for the next billing day. What could never fit into one is refused: nobody
would come to raise a quota for it in time.

A process that dies between the counting and its record counts twice. That takes from the quota what was not used,
never the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.transcripts.job import Postponed, Verdict
from functions.transcripts.pacing import next_day
from isikit import logs
from isikit.errors import LimitError

if TYPE_CHECKING:
    from functions.transcripts.job_journal import JobJournal
    from functions.transcripts.process import Transcripts
    from isikit.tenants import Tenant

OVER_QUOTA: Final = "limit.quota"
NOT_ITS_TURN: Final = "limit.pace"
QUOTA: Final = "recognition_seconds"


async def admit(
    n: int, seconds: int, audio_ms: int, tenant: Tenant, journal: JobJournal, process: Transcripts
) -> Postponed | Verdict | None:
    """Count the recording of attempt `n` against its tenant's limits; None where it may be recognised now.

    Parameters
    ----------
    seconds
        Of sound that the service bills.
    audio_ms
        The recording's length.

    Raises
    ------
    ClaimLost
        Somebody else is on the job.
    StorageError, LimitsUnavailable
        The limits cannot be asked.
    """
    job = journal.job
    quota, hours = tenant.quotas.get(QUOTA), tenant.max_audio_hours_per_30min
    if job is None or job.latest.admitted:
        return None
    if quota is not None and seconds > quota:
        return _refused(quota, audio_ms)
    try:
        await process.spend(tenant, seconds)
    except LimitError:
        return _postponed(journal, next_day(journal.now), OVER_QUOTA, seconds, audio_ms, tenant)
    if hours is not None and seconds > 0:
        generation, most = job.latest.number, hours * 3600
        begins_at = await process.pace.book(tenant.id, job.id, generation, seconds, most, journal.now)
        if begins_at > journal.now:
            return _postponed(journal, begins_at, NOT_ITS_TURN, seconds, audio_ms, tenant)
    if quota is not None or hours is not None:
        await journal.admit(job.latest.number, n)
    return None


def _refused(quota: int, audio_ms: int) -> Verdict:
    advice = (
        "The tenant may have nothing recognised: raise its recognition_seconds, then replay the job."
        if quota == 0
        else "This is longer than the tenant's quota of a day: raise its recognition_seconds, then replay the job."
    )
    return Verdict("failed", OVER_QUOTA, advice, audio_ms=audio_ms)


def _postponed(
    journal: JobJournal, until: float, reason: str, seconds: int, audio_ms: int, tenant: Tenant
) -> Postponed:
    logs.event("job.postponed_until", job_id=journal.id, reason=reason, wait_ms=round(1000 * (until - journal.now)))
    admitted = reason == NOT_ITS_TURN
    return Postponed(until, reason, admitted, seconds, audio_ms, tenant.priority)
