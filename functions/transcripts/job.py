"""A job: what its journal says of one recording, and what to do next. Pure: no clock, no network.

The journal `jobs/{id}.jsonl` holds records of these types, each with the `generation` it belongs to:

- `received`: the recording's place, its tenant, its call id;
- `attempt` (n, owner, until): recorded *before* the recording is decoded, and at the same time the claim on the job;
- `renewed` (n, until): the claim is prolonged;
- `ended` (n, reason, crashed): the attempt came to nothing and was given back;
- `intent` (n, submission, cause, possible_double, expected_by, plan): attempt `n` is about to hand the recording to the
  service's queue, for the `submission`-th time. Written *before* it does, and from then on nobody need hold the job;
- `submitted` (submission, task, expected_by): the service took it, under this name;
- `withdrawn` (submission): the service refused it, nothing was queued;
- `terminal` (attempt, state, reason, ...): **one per generation**, written by compare-and-swap under the claim;
- `published` (placed): its files are in place, or have no place any more;
- `generation` (uploaded_at, request_id): after all of these, the same bytes were uploaded again: another run begins.

An attempt whose claim is past without `ended`, `intent` or `terminal` died with its process: a crash. So that a
recording which kills its reader cannot do so for ever, the third crash is the last.

An intent without a task is a recording of which nobody knows whether it was taken: the process died, or no answer came.
Its callback may still tell. If none has come by `expected_by`, it is submitted once more, as a `possible_double`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgspec

State = Literal["received", "waiting", "submitted", "done", "failed", "quarantined", "skipped"]
Outcome = Literal["done", "failed", "quarantined", "skipped"]

MAX_CRASHES: Final = 3
MAX_ATTEMPTS: Final = 4
"""The first delivery and the three retries of Function Compute's asynchronous calls: after that nobody would come."""


def job_id(bucket: str, key: str, etag: str) -> str:
    """The job of exactly this version of this object: 64 hex digits."""
    version = etag.strip('"').upper()
    return hashlib.sha256(f"{bucket}\n{key}\n{version}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes
    ----------
    owner
        The invocation that made it.
    began_at, until
        Its begin, and the end of its claim as last renewed, seconds since the epoch by OSS's clock.
    ended
        Code of the error it ended with, or None: it runs, was lost, or brought the terminal record.
    crashed
        It ended because the decoder's process died.
    """

    n: int
    owner: str
    began_at: float
    until: float
    ended: str | None = None
    crashed: bool = False

    def lost(self, now: float) -> bool:
        """Whether its process died: the claim is past, and nothing was heard of it."""
        return self.ended is None and self.until <= now


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a generation ended, with what is worth counting.

    Attributes
    ----------
    reason
        Code, None where it is done.
    advice
        What a person can do about it, empty where it is done.
    files
        Names of the files under `attempts/{id}/{generation}/{n}/` that are to be published.
    audio_ms, channels, calls, turns
        Length of the recording, its channels, recognitions paid for, turns found.
    possible_double
        How many of `calls` may have been for what another had been taken for already.
    """

    state: Outcome
    reason: str | None = None
    advice: str = ""
    files: tuple[str, ...] = ()
    mode: str | None = None
    audio_ms: int = 0
    channels: int = 0
    calls: int = 0
    turns: int = 0
    possible_double: int = 0


Cause = Literal["first", "fresh_url", "service_error", "task_gone", "unanswered"]
"""Why a recording is submitted: the first time; or again, once for each of the others: its URL was refused, the service
failed, it does not know the task any more, or nothing was heard of the submission before."""

POSSIBLE_DOUBLES: Final[frozenset[Cause]] = frozenset({"task_gone", "unanswered"})
"""Of these the submission before may have been taken, done and billed."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One hand-over to the service's queue.

    Attributes
    ----------
    number
        From 1, within a generation.
    attempt
        Whose.
    at
        Of the intent, by OSS's clock, seconds since the epoch.
    expected_by
        When its end is expected, by the same clock.
    plan
        With what it was submitted, as `mode` reads it.
    task
        The service's name for it, None as long as that is not known.
    possible_double
        Whether the one before may have been taken too.
    """

    number: int
    attempt: int
    at: float
    cause: Cause
    expected_by: float
    plan: Mapping[str, Any]
    task: str | None = None
    possible_double: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal record: the verdict, and the attempt whose outputs count."""

    attempt: int
    verdict: Verdict
    at: float


@dataclass(frozen=True, slots=True)
class Generation:
    """One run through to an outcome; an upload of the same bytes makes another where that changes something.

    Attributes
    ----------
    opened_at
        By the clock of the instance that opened it.
    uploaded_at, request_id
        Of the upload that caused it: by OSS's clock, None and "" where its event did not say.
    published
        Nothing is left to be done for it.
    placed
        Its files are where they belong; not so where the recording was overwritten meanwhile.
    """

    number: int
    opened_at: float = 0.0
    uploaded_at: float | None = None
    request_id: str = ""
    attempts: tuple[Attempt, ...] = ()
    submissions: tuple[Submission, ...] = ()
    terminal: Terminal | None = None
    published: bool = False
    placed: bool = False

    def holds(self, n: int) -> bool:
        """Whether attempt `n` still has the job: it did not end, and nobody came after it."""
        return bool(self.attempts) and self.attempts[-1].n == n and self.attempts[-1].ended is None

    @property
    def pending(self) -> Submission | None:
        """What the service has, or may have: the last submission, unless it refused that."""
        return self.submissions[-1] if self.submissions and not self.submissions[-1].withdrawn else None

    def let_go(self, attempt: Attempt) -> bool:
        """Whether an attempt left the recording to the service: nobody need hold the job for it."""
        return any(each.attempt == attempt.n and not each.withdrawn for each in self.submissions)

    def crashes(self, now: float) -> int:
        """How many attempts took their process, or the decoder's, with them."""
        return sum(each.crashed or (each.lost(now) and not self.let_go(each)) for each in self.attempts)

    def failures(self, now: float) -> int:
        """How many attempts came to nothing, in whatever way."""
        return sum(each.ended is not None or (each.lost(now) and not self.let_go(each)) for each in self.attempts)


@dataclass(frozen=True, slots=True)
class Job:
    """A recording's job. `tenant` is the name in its path, known or not ("" where there is none)."""

    id: str
    bucket: str
    key: str
    etag: str
    size: int | None
    tenant: str
    call_id: str | None
    generations: tuple[Generation, ...] = (Generation(1),)

    @property
    def latest(self) -> Generation:
        """The generation that counts now."""
        return self.generations[-1]


@dataclass(frozen=True, slots=True)
class Begin:
    """Make attempt `n`. After `crashes` = `MAX_CRASHES`, without touching the recording."""

    n: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """Somebody is on it, until `until` at least."""

    until: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the service what has become of a submission; what follows from that is attempt `n`'s."""

    submission: Submission
    n: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Await:
    """Nothing can be done before the callback of a submission without a task comes, or its time is over."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Nothing was heard of a submission without a task: attempt `n` submits once more, or gives up."""

    submission: Submission
    n: int


@dataclass(frozen=True, slots=True)
class Publish:
    """The outcome stands, its files may not."""


@dataclass(frozen=True, slots=True)
class Close:
    """All is done; what marks the job as open may still be there."""


Step = Begin | Claimed | Ask | Await | Resubmit | Publish | Close


def decide(job: Job, now: float) -> Step:
    """What a delivery does next, at OSS's time `now`."""
    generation = job.latest
    if generation.terminal is not None:
        return Close() if generation.published else Publish()
    last = generation.attempts[-1] if generation.attempts else None
    if last is not None and last.ended is None and not last.lost(now) and not generation.let_go(last):
        return Claimed(last.until)
    n, pending = len(generation.attempts) + 1, generation.pending
    if pending is None:
        return Begin(n, generation.crashes(now))
    if pending.task is not None:
        return Ask(pending, n, generation.crashes(now))
    return Await(pending) if now < pending.expected_by else Resubmit(pending, n)


def uploaded_again(job: Job, uploaded_at: float | None, request_id: str) -> bool:
    """Whether an event tells of a later upload of these bytes than the verdict on them knew of.

    A repeated delivery does not: the platform's name for the upload is in the journal. Neither does an upload from
    before the attempt that came to the verdict, for that attempt has seen it. An upload is known by its request id,
    because times have whole seconds; without one, by its time alone.
    """
    latest = job.latest
    if latest.terminal is None or uploaded_at is None:
        return False
    if request_id and any(request_id == each.request_id for each in job.generations):
        return False
    known = latest.uploaded_at
    if known is not None and (uploaded_at < known or (uploaded_at == known and not request_id)):
        return False
    began = next((each.began_at for each in latest.attempts if each.n == latest.terminal.attempt), latest.opened_at)
    return uploaded_at >= began


def fold(records: Iterable[Mapping[str, Any]]) -> Job | None:
    """The job that these records tell of, oldest first; None where there are none.

    Records of types it does not know are passed over: a version that was rolled back must still read its successor's.
    """
    job: Job | None = None
    for record in records:
        if job is not None:
            job = _apply(job, record)
        elif record.get("type") == "received":
            job = _received(record)
    return job


def terminal_record(generation: int, attempt: int, verdict: Verdict, at: float) -> dict[str, Any]:
    """The record of a verdict, as `fold` reads it."""
    told: dict[str, Any] = msgspec.to_builtins(verdict)
    return {"type": "terminal", "generation": generation, "attempt": attempt, "at": at, **told}


def _received(record: Mapping[str, Any]) -> Job:
    return Job(
        id=job_id(record["bucket"], record["key"], record["etag"]),
        bucket=record["bucket"],
        key=record["key"],
        etag=record["etag"],
        size=record["size"],
        tenant=record["tenant"],
        call_id=record["call_id"],
        generations=(_opened(record),),
    )


def _opened(record: Mapping[str, Any]) -> Generation:
    return Generation(
        record["generation"], float(record["at"]), record.get("uploaded_at"), record.get("request_id", "")
    )


def _apply(job: Job, record: Mapping[str, Any]) -> Job:
    found = next((each for each in job.generations if each.number == record.get("generation")), None)
    if found is None:
        following = record.get("type") == "generation" and record.get("generation") == job.latest.number + 1
        if not following or not job.latest.published:
            return job
        return replace(job, generations=(*job.generations, _opened(record)))
    match record.get("type"):
        case "attempt":
            attempt = Attempt(record["n"], record["owner"], float(record["at"]), float(record["until"]))
            changed = replace(found, attempts=(*found.attempts, attempt))
        case "renewed":
            changed = _amended(found, record["n"], until=float(record["until"]))
        case "ended":
            changed = _amended(found, record["n"], ended=record["reason"], crashed=record["crashed"])
        case "intent" if record["submission"] == len(found.submissions) + 1:
            changed = replace(found, submissions=(*found.submissions, _submission(record)))
        case "submitted":
            changed = _handed(found, record["submission"], task=record["task"], expected_by=record["expected_by"])
        case "withdrawn":
            changed = _handed(found, record["submission"], withdrawn=True)
        case "terminal" if found.terminal is None:
            terminal = Terminal(record["attempt"], msgspec.convert(record, Verdict), float(record["at"]))
            changed = replace(found, terminal=terminal)
        case "published":
            changed = replace(found, published=True, placed=record["placed"])
        case _:
            return job
    return replace(job, generations=tuple(changed if each is found else each for each in job.generations))


def _amended(generation: Generation, n: int, **changes: Any) -> Generation:
    attempts = tuple(replace(each, **changes) if each.n == n else each for each in generation.attempts)
    return replace(generation, attempts=attempts)


def _submission(record: Mapping[str, Any]) -> Submission:
    return Submission(
        number=record["submission"],
        attempt=record["n"],
        at=float(record["at"]),
        cause=record["cause"],
        expected_by=float(record["expected_by"]),
        plan=record["plan"],
        possible_double=record["possible_double"],
    )


def _handed(generation: Generation, number: int, **changes: Any) -> Generation:
    """The generation with what became known of a submission; of one whose task is known nothing more can."""
    submissions = tuple(
        replace(each, **changes) if each.number == number and each.task is None and not each.withdrawn else each
        for each in generation.submissions
    )
    return replace(generation, submissions=submissions)
