"""A job: what its journal says of one recording. Pure: no clock, no network.

The journal `jobs/{id}.jsonl` holds records of these types, read by `job_records`, each with the
`generation` it belongs to:

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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

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
