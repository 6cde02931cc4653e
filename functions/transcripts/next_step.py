"""What is to be done next for a job: decided by its journal and OSS's time alone."""

from __future__ import annotations

from dataclasses import dataclass

from functions.transcripts.job import Job, Submission


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
