"""The records of a job's journal, read: from lines to the `Job` that they tell of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from functions.transcripts.job import (
    Attempt,
    Generation,
    Job,
    Notice,
    Postponed,
    Submission,
    Terminal,
    Verdict,
    job_id,
)


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
