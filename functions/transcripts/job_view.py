"""Jobs as callers see them, and how they are found. Other tenants' jobs are as if they were not there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.transcripts import publish
from functions.transcripts.handover import EXPECTED_SECONDS
from functions.transcripts.job import Generation, Job, Postponed, State, Submission, Terminal
from functions.transcripts.job_journal import journal_key
from functions.transcripts.job_records import fold
from functions.transcripts.marks import index_of_call, index_of_key
from functions.transcripts.process import Transcripts
from isikit.errors import FieldError, RequestError
from isikit.journal import Journal
from isikit.objects import ObjectStore
from isikit.stamps import rfc3339

MOST_JOBS: Final = 1000
AT_ONCE: Final = 8

_ID = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class LookUp:
    """What is looked for: the jobs of a call where `call_id` is given, else those of an object."""

    bucket: str = ""
    key: str = ""
    call_id: str | None = None


def look_up(parameters: Mapping[str, str]) -> LookUp:
    """The look-up that query parameters ask for.

    Raises
    ------
    RequestError
        Neither `bucket` and `key` nor `call_id`, or both; every mistake is named.
    """
    call_id = parameters.get("call_id")
    place = {name: parameters.get(name) for name in ("bucket", "key")}
    if call_id is not None:
        mistakes = [FieldError(name, "conflict", "call_id alone") for name, value in place.items() if value is not None]
        if not call_id:
            mistakes.append(FieldError("call_id", "missing"))
    else:
        mistakes = [FieldError(name, "missing", "bucket and key, or call_id") for name in place if not place[name]]
    if mistakes:
        raise RequestError("A job is found by bucket and key, or by call_id.", errors=mistakes)
    return LookUp(place["bucket"] or "", place["key"] or "", call_id)


async def by_id(identifier: str, tenant: str, process: Transcripts) -> list[dict[str, Any]]:
    """The job of that id: one entry per generation, oldest first; none where the tenant has no such job."""
    return await _views([identifier], tenant, process) if _ID.match(identifier) else []


async def by_place(bucket: str, key: str, tenant: str, process: Transcripts) -> list[dict[str, Any]]:
    """The jobs of all versions of an object."""
    return await _indexed(index_of_key(bucket, key), tenant, process)


async def by_call(call_id: str, tenant: str, process: Transcripts) -> list[dict[str, Any]]:
    """The jobs of all recordings of a call."""
    return await _indexed(index_of_call(tenant, call_id), tenant, process)


def view(job: Job, generation: Generation) -> dict[str, Any]:
    """One generation of a job. An outcome is shown once its files are in place, so that they can be fetched."""
    terminal = generation.terminal if generation.published else None
    done = terminal is not None and terminal.verdict.state == "done" and generation.placed
    latest = generation.number == job.latest.number
    outputs = publish.outputs(job) if latest else publish.kept(job, generation.number)
    pending = generation.pending if terminal is None else None
    waits = generation.waits_for if terminal is None else None
    state: State
    if terminal is not None:
        state = terminal.verdict.state
    elif pending is not None:
        state = "waiting" if pending.task is None else "submitted"
    else:
        state = "waiting" if generation.attempts and generation.attempts[-1].ended is not None else "received"
    return {
        "id": job.id,
        "generation": generation.number,
        "state": state,
        "reason": _reason(terminal, waits),
        "bucket": job.bucket,
        "key": job.key,
        "outputs": outputs if done else {},
        # Of what is done here itself nothing is promised; it takes as long as the function runs.
        "expected_by": _expected_by(pending, waits),
    }


def _reason(terminal: Terminal | None, waits: Postponed | None) -> str | None:
    if terminal is not None:
        return terminal.verdict.reason
    return None if waits is None else waits.reason


def _expected_by(pending: Submission | None, waits: Postponed | None) -> str | None:
    if pending is not None:
        return rfc3339(pending.expected_by)
    return None if waits is None else rfc3339(waits.until + EXPECTED_SECONDS)


async def _indexed(prefix: str, tenant: str, process: Transcripts) -> list[dict[str, Any]]:
    keys = await process.state.list(prefix, limit=MOST_JOBS)
    return await _views([key.removeprefix(prefix) for key in keys], tenant, process)


async def _views(identifiers: list[str], tenant: str, process: Transcripts) -> list[dict[str, Any]]:
    places = asyncio.Semaphore(AT_ONCE)
    found = await asyncio.gather(*(_read(identifier, process.state, places) for identifier in identifiers))
    mine = [job for job in found if job is not None and job.tenant == tenant]
    generations = sorted(((job, each) for job in mine for each in job.generations), key=_age)
    return [view(job, generation) for job, generation in generations]


async def _read(identifier: str, state: ObjectStore, places: asyncio.Semaphore) -> Job | None:
    async with places:
        snapshot = await Journal(state, journal_key(identifier)).read()
    return fold(snapshot.records)


def _age(entry: tuple[Job, Generation]) -> tuple[float, str, int]:
    job, generation = entry
    return generation.opened_at, job.id, generation.number
