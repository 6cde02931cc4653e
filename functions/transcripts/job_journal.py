"""A job's journal in the state bucket, `jobs/{id}.jsonl`: every write to it, and to the marks beside it.

Marks are written from the journal's own facts, so writing them again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from functions.transcripts.events import Created
from functions.transcripts.job import POSSIBLE_DOUBLES, Cause, Job, NoticeOutcome, Postponed, Verdict
from functions.transcripts.job_records import fold, terminal_record
from functions.transcripts.marks import (
    index_of_call,
    index_of_key,
    known_as,
    known_key,
    open_key,
    untold_key,
    waiting_key,
)
from functions.transcripts.source import Source
from isikit.claims import ClaimLost
from isikit.errors import PositionConflict
from isikit.journal import Journal, Record, Snapshot
from isikit.objects import ObjectStore

MARK: Final = "application/octet-stream"


def journal_key(job: str) -> str:
    """Where a job's journal is."""
    return f"jobs/{job}.jsonl"


class JobJournal:
    """One job, read and written. `job` and `now` are as of the last call.

    Parameters
    ----------
    state
        The state bucket.
    identifier
        The job's id.
    clock
        Wall time for the stamps in records; attempts and their claims go by OSS's own.
    pause
        Sleeps between attempts to append.
    """

    def __init__(
        self,
        state: ObjectStore,
        identifier: str,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.id = identifier
        self._state = state
        self._clock = clock
        self._journal = Journal(state, journal_key(identifier), pause=pause)
        self._snapshot = Snapshot((), 0, 0.0)
        self._turn = asyncio.Lock()  # the claim is renewed beside the work that it protects

    @property
    def job(self) -> Job | None:
        """The job, None where nothing is known of it."""
        return fold(self._snapshot.records)

    @property
    def now(self) -> float:
        """OSS's time of the last answer."""
        return self._snapshot.server_time

    async def read(self) -> Job | None:
        """Read the journal."""
        self._snapshot = await self._journal.read()
        return self.job

    async def receive(self, created: Created, source: Source) -> bool:
        """Open the job; False where somebody else just did."""
        return await self._append(
            {
                "type": "received",
                "generation": 1,
                "at": self._clock(),
                "bucket": created.bucket,
                "key": created.key,
                "etag": created.etag,
                "size": created.size,
                "tenant": source.tenant,
                "call_id": source.call_id,
                "metadata": dict(source.metadata),
                "uploaded_at": created.uploaded_at,
                "request_id": created.request_id,
            }
        )

    async def reopen(self, generation: int, created: Created, *, replay: bool = False) -> bool:
        """Open another generation; False where somebody wrote meanwhile."""
        return await self._append(
            {
                "type": "generation",
                "generation": generation,
                "at": self._clock(),
                "uploaded_at": created.uploaded_at,
                "request_id": created.request_id,
                "replay": replay,
            }
        )

    async def file(self, job: Job) -> None:
        """Mark the job as open and put it into the indices."""
        await self._state.put(open_key(job), b"", content_type=MARK)
        if (waited := waiting_key(job)) is not None:
            await self._state.delete(waited)
            return  # the rest was done before it waited
        await self._state.put(index_of_key(job.bucket, job.key) + job.id, b"", content_type=MARK)
        if job.call_id is not None:
            await self._state.put(index_of_call(job.tenant, job.call_id) + job.id, b"", content_type=MARK)

        await self.know(job)

    async def know(self, job: Job) -> None:
        """Mark the recording as one that has a job."""
        await self._state.put(known_key(job.key), known_as(job.etag), content_type=MARK)

    async def file_waiting(self, job: Job) -> None:
        """Mark the job as one whose turn has not come."""
        if (waiting := waiting_key(job)) is not None:
            await self._state.put(waiting, b"", content_type=MARK)
            await self._state.delete(open_key(job))

    async def file_untold(self, job: Job) -> None:
        """Mark the job as one whose webhook is to be told later. Marks of tries before are left to the timer."""
        if (untold := untold_key(job)) is not None:
            await self._state.put(untold, b"", content_type=MARK)
            await self._state.delete(open_key(job))

    async def close(self, job: Job) -> None:
        """Take the marks of an open job away: that of a generation may be left whose webhook was told later."""
        for key in {open_key(job, each) for each in job.generations if each.notify or each is job.latest}:
            await self._state.delete(key)
        if (waited := waiting_key(job)) is not None:
            await self._state.delete(waited)

    async def begin(self, generation: int, n: int, owner: str, seconds: float) -> bool:
        """Record attempt `n`, which claims the job for `seconds`; False where somebody wrote meanwhile."""
        record: Record = {"type": "attempt", "generation": generation, "n": n, "owner": owner}
        # By OSS's clock, with whose times of uploads it is compared.
        return await self._append({**record, "at": self.now, "until": self.now + seconds})

    async def renew(self, generation: int, n: int, seconds: float) -> None:
        """Prolong the claim of attempt `n` to `seconds` from now, by OSS's clock.

        Raises
        ------
        ClaimLost
            Somebody else took the job over.
        """
        async with self._turn:
            await self.read()
            record: Record = {"type": "renewed", "generation": generation, "n": n, "until": self.now + seconds}
            await self._append_holding(record, n)

    async def intend(self, generation: int, n: int, cause: Cause, plan: Mapping[str, Any], seconds: float) -> int:
        """Record, before it is done, that attempt `n` hands the recording to the service; the submission's number.

        Parameters
        ----------
        seconds
            After which, without a word from the service, it counts as lost.

        Raises
        ------
        ClaimLost
            As `conclude`.
        """
        async with self._turn:
            job = self.job
            number = 1 if job is None else len(job.latest.submissions) + 1
            record: Record = {"type": "intent", "generation": generation, "n": n, "submission": number}
            at = {"at": self.now, "expected_by": self.now + seconds}
            double = cause in POSSIBLE_DOUBLES
            await self._append_holding({**record, **at, "cause": cause, "possible_double": double, "plan": plan}, n)
        return number

    async def submitted(self, generation: int, number: int, task: str, seconds: float) -> None:
        """Record the service's name for a submission, expected to end in `seconds`; by whoever learnt it first."""
        async with self._turn:
            record: Record = {"type": "submitted", "generation": generation, "submission": number, "task": task}
            while (job := self.job) is not None:
                pending = job.latest.pending if job.latest.terminal is None else None
                if pending is None or pending.number != number or pending.task is not None:
                    return
                if await self._append({**record, "at": self.now, "expected_by": self.now + seconds}):
                    return

    async def withdraw(self, generation: int, n: int, number: int) -> None:
        """Record that the service refused a submission.

        Raises
        ------
        ClaimLost
            As `conclude`.
        """
        async with self._turn:
            await self._append_holding({"type": "withdrawn", "generation": generation, "submission": number}, n)

    async def conclude(self, generation: int, n: int, verdict: Verdict) -> None:
        """Write the terminal record.

        Raises
        ------
        ClaimLost
            Somebody else took the job over, or a verdict stands already: an unclear answer may have been a yes.
        """
        async with self._turn:
            await self._append_holding(terminal_record(generation, n, verdict, self._clock()), n)

    async def give_back(self, generation: int, n: int, reason: str, *, crashed: bool) -> None:
        """End the attempt without a verdict, so that the next need not wait for the end of its claim.

        Raises
        ------
        ClaimLost
            As `conclude`.
        """
        record: Record = {"type": "ended", "generation": generation, "n": n, "reason": reason, "crashed": crashed}
        async with self._turn:
            await self.read()
            await self._append_holding({**record, "at": self._clock()}, n)

    async def admit(self, generation: int, n: int) -> None:
        """Record that the recording was counted against its tenant's quota and pace.

        Raises
        ------
        ClaimLost
            As `conclude`.
        """
        async with self._turn:
            await self._append_holding({"type": "admitted", "generation": generation, "n": n, "at": self._clock()}, n)

    async def postpone(self, generation: int, n: int, postponed: Postponed) -> None:
        """End the attempt because it is not its turn.

        Raises
        ------
        ClaimLost
            As `conclude`.
        """
        record: Record = {"type": "postponed", "generation": generation, "n": n, "at": self._clock()}
        async with self._turn:
            await self._append_holding({**record, **msgspec.to_builtins(postponed)}, n)

    async def published(self, generation: int, *, placed: bool, notify: bool = False) -> bool:
        """Record that nothing is left to be done but telling; False where somebody wrote meanwhile."""
        record: Record = {"type": "published", "generation": generation, "placed": placed, "at": self._clock()}
        return await self._append({**record, "notify": True} if notify else record)

    async def notice(self, generation: int, n: int, seconds: float) -> bool:
        """Record that the webhook is about to be told for the `n`-th time, and by nobody else for so long.

        Returns
        -------
        bool
            False where somebody wrote meanwhile.
        """
        record: Record = {"type": "notice", "generation": generation, "n": n}
        return await self._append({**record, "at": self.now, "until": self.now + seconds})

    async def noticed(self, generation: int, n: int, outcome: NoticeOutcome, reason: str | None) -> None:
        """Record what came of the `n`-th try, however often somebody else writes meanwhile."""
        record: Record = {"type": "noticed", "generation": generation, "n": n, "outcome": outcome, "reason": reason}
        while not await self._append({**record, "at": self._clock()}):
            pass

    async def _append_holding(self, record: Record, n: int) -> None:
        """Append while attempt `n` has the job and no verdict stands, however often somebody else writes meanwhile."""
        while True:
            job = self.job
            if job is None or job.latest.terminal is not None or not job.latest.holds(n):
                raise ClaimLost
            if await self._append(record):
                return

    async def _append(self, record: Record) -> bool:
        """Append where the journal is as it was read; read it again and answer False where it is not."""
        try:
            self._snapshot = await self._journal.append(record, self._snapshot)
        except PositionConflict:
            self._snapshot = await self._journal.read()
            return False
        return True
