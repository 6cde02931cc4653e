"""A job: what its journal says of one recording, and what to do next. Pure: no clock, no network.

The journal `jobs/{id}.jsonl` holds records of these types, each with the `generation` it belongs to:

- `received`: the recording's place, its tenant, its call id;
- `attempt` (n, owner, until): recorded *before* the recording is decoded, and at the same time the claim on the job;
- `renewed` (n, until): the claim is prolonged;
- `ended` (n, reason, crashed): the attempt came to nothing and was given back;
- `admitted` (n): the recording was counted against its tenant's quota and pace, and is not counted again;
- `postponed` (n, until, reason, admitted, seconds, audio_ms, priority): attempt `n` ended, it is not its turn before;
- `intent` (n, submission, cause, possible_double, expected_by, plan): attempt `n` is about to hand the recording to the
  service's queue, for the `submission`-th time. Written *before* it does, and from then on nobody need hold the job;
- `submitted` (submission, task, expected_by): the service took it, under this name;
- `withdrawn` (submission): the service refused it, nothing was queued;
- `terminal` (attempt, state, reason, ...): **one per generation**, written by compare-and-swap under the claim;
- `published` (placed, notify): its files are in place, or have no place any more; whether anybody is to be told;
- `notice` (n, until): about to tell for the `n`-th time, see `notify`. Written *before*, so that tries are counted
  whatever becomes of them; nobody else tries before `until`;
- `noticed` (n, outcome, reason): what came of it: delivered, failed, or given up;
- `generation` (uploaded_at, request_id, replay): after all of these another run begins: the same bytes were uploaded
  again, or an operator wants it.

An attempt whose claim is past without `ended`, `intent` or `terminal` died with its process: a crash. So that a
recording which kills its reader cannot do so for ever, the third crash is the last.

An intent without a task is a recording of which nobody knows whether it was taken: the process died, or no answer came.
Its callback may still tell. If none has come by `expected_by`, it is submitted once more, as a `possible_double`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgspec

State = Literal["received", "waiting", "submitted", "done", "failed", "quarantined", "skipped"]
Outcome = Literal["done", "failed", "quarantined", "skipped"]

MAX_CRASHES: Final = 3
MAX_NOTICES: Final = 5
REST_SECONDS: Final = (60.0, 300.0, 900.0)
"""After the first, second and any further failed attempt, before the timer makes another: not four in four minutes."""
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
    postponed
        It ended because it was not its turn: nothing went wrong.
    """

    n: int
    owner: str
    began_at: float
    until: float
    ended: str | None = None
    crashed: bool = False
    postponed: bool = False

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


NoticeOutcome = Literal["delivered", "failed", "given_up"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One try to tell the tenant's webhook.

    Attributes
    ----------
    n
        From 1, within a generation.
    until
        Nobody tries again before, by OSS's clock.
    outcome
        None where it is not known: the process died, or is at it.
    """

    n: int
    until: float
    outcome: NoticeOutcome | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """It is not this recording's turn before `until` (OSS's clock, seconds since the epoch).

    Attributes
    ----------
    reason
        `limit.pace` or `limit.quota`.
    admitted
        Whether it was counted already, so that then it need not be asked again.
    seconds, audio_ms
        Of sound that is billed, and its length: so that it need not be decoded to be postponed once more.
    priority
        Its tenant's, 0 to 9: 9 goes first.
    """

    until: float
    reason: str
    admitted: bool
    seconds: int
    audio_ms: int
    priority: int


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
    notify
        The tenant had a webhook when it was published.
    replayed
        An operator wants it done anew, whatever came of it before.
    admitted
        It was counted against its tenant's quota and pace.
    postponed
        The last time that it was not its turn.
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
    notify: bool = False
    notices: tuple[Notice, ...] = ()
    replayed: bool = False
    admitted: bool = False
    postponed: Postponed | None = None

    @property
    def untold(self) -> bool:
        """Whether the webhook is still to be told: not delivered, not given up."""
        return self.notify and not any(each.outcome in ("delivered", "given_up") for each in self.notices)

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
        return sum(
            (each.ended is not None and not each.postponed) or (each.lost(now) and not self.let_go(each))
            for each in self.attempts
        )

    def rests(self, now: float) -> bool:
        """Whether the last attempt failed so recently that another would likely meet the same trouble.

        A repeated event does not ask for this: the platform paces its own retries.
        """
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.ended is None or last.postponed:
            return False
        return now < last.until + REST_SECONDS[min(self.failures(now), len(REST_SECONDS)) - 1]

    @property
    def waits_for(self) -> Postponed | None:
        """What it waits for, or may begin after by now; None where an attempt came later."""
        return self.postponed if self.attempts and self.attempts[-1].postponed else None


@dataclass(frozen=True, slots=True)
class Job:
    """A recording's job. `tenant` is the name in its path, known or not ("" where there is none).

    `metadata` is what its uploader said of the call, as `source` has it.
    """

    id: str
    bucket: str
    key: str
    etag: str
    size: int | None
    tenant: str
    call_id: str | None
    generations: tuple[Generation, ...] = (Generation(1),)
    metadata: Mapping[str, str] = field(default_factory=dict)

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
class Wait:
    """It is not its turn before `until`."""

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


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the webhook of a generation's outcome for the `n`-th time; past `MAX_NOTICES`, give up."""

    generation: int
    n: int


@dataclass(frozen=True, slots=True)
class Linger:
    """All is done but telling, and the next try's time has not come."""


Step = Begin | Claimed | Wait | Ask | Await | Resubmit | Publish | Tell | Linger | Close


def decide(job: Job, now: float) -> Step:
    """What a delivery does next, at OSS's time `now`."""
    generation = job.latest
    if generation.terminal is not None:
        return _after_publishing(job, now) if generation.published else Publish()
    last = generation.attempts[-1] if generation.attempts else None
    if last is not None and last.ended is None and not last.lost(now) and not generation.let_go(last):
        return Claimed(last.until)
    n, pending = len(generation.attempts) + 1, generation.pending
    if pending is None:
        if generation.waits_for is not None and now < generation.waits_for.until:
            return Wait(generation.waits_for.until)
        return Begin(n, generation.crashes(now))
    if pending.task is not None:
        return Ask(pending, n, generation.crashes(now))
    return Await(pending) if now < pending.expected_by else Resubmit(pending, n)


def _after_publishing(job: Job, now: float) -> Step:
    """Tell of every generation, the oldest first; one whose try is not due keeps none of the others from its turn."""
    untold = [each for each in job.generations if each.published and each.untold]
    for generation in untold:
        last = generation.notices[-1] if generation.notices else None
        if last is None or last.until <= now:
            return Tell(generation.number, len(generation.notices) + 1)
    return Linger() if untold else Close()


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
        metadata=record.get("metadata", {}),
    )


def _opened(record: Mapping[str, Any]) -> Generation:
    return Generation(
        record["generation"],
        float(record["at"]),
        record.get("uploaded_at"),
        record.get("request_id", ""),
        replayed=record.get("replay", False),
    )


def _apply(job: Job, record: Mapping[str, Any]) -> Job:  # noqa: C901 - one case for each type of record
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
        case "admitted":
            changed = replace(found, admitted=True)
        case "postponed":
            told = msgspec.convert(record, Postponed)
            ended = _amended(found, record["n"], ended=told.reason, postponed=True)
            changed = replace(ended, admitted=found.admitted or told.admitted, postponed=told)
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
            changed = replace(found, published=True, placed=record["placed"], notify=record.get("notify", False))
        case "notice" | "noticed":
            changed = replace(found, notices=_noticed(found, record))
        case _:
            return job
    return replace(job, generations=tuple(changed if each is found else each for each in job.generations))


def _amended(generation: Generation, n: int, **changes: Any) -> Generation:
    attempts = tuple(replace(each, **changes) if each.n == n else each for each in generation.attempts)
    return replace(generation, attempts=attempts)


def _noticed(generation: Generation, record: Mapping[str, Any]) -> tuple[Notice, ...]:
    if record["type"] == "notice":
        return (*generation.notices, Notice(record["n"], float(record["until"])))
    return tuple(
        replace(each, outcome=record["outcome"], reason=record["reason"]) if each.n == record["n"] else each
        for each in generation.notices
    )


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
