"""What a journal says of a job, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.transcripts.job import MAX_CRASHES, Job, Verdict, job_id
from functions.transcripts.job_records import fold, terminal_record
from functions.transcripts.next_step import (
    Ask,
    Await,
    Begin,
    Claimed,
    Close,
    Publish,
    Resubmit,
    Step,
    decide,
    uploaded_again,
)

RECEIVED = {
    "type": "received",
    "generation": 1,
    "at": 100.0,
    "bucket": "recordings",
    "key": "in/acme/a.wav",
    "etag": "A1",
    "size": 3,
    "tenant": "acme",
    "call_id": None,
}
TERMINAL = terminal_record(1, 1, Verdict("done", files=("transcript.json",), calls=2), 120.0)
PUBLISHED = {"type": "published", "generation": 1, "placed": True, "at": 121.0}
GENERATION = {"type": "generation", "generation": 2, "at": 150.0, "uploaded_at": 149.0, "request_id": "second"}


def attempt(n: int, until: float) -> dict[str, Any]:
    return {"type": "attempt", "generation": 1, "n": n, "owner": f"o{n}", "until": until, "at": until - 30}


def renewed(n: int, until: float) -> dict[str, Any]:
    return {"type": "renewed", "generation": 1, "n": n, "until": until}


def ended(n: int, reason: str = "nls.server_error", *, crashed: bool = False) -> dict[str, Any]:
    return {"type": "ended", "generation": 1, "n": n, "reason": reason, "crashed": crashed, "at": 110.0}


def job_of(*records: dict[str, Any]) -> Job:
    job = fold([RECEIVED, *records])
    assert job is not None
    return job


def test_the_id_is_of_bucket_key_and_version() -> None:
    ids = {job_id("b", "k", "E"), job_id("b", "k", "F"), job_id("b", "l", "E"), job_id("c", "k", "E")}
    assert len(ids) == 4


@pytest.mark.parametrize("etag", ["9A3C", "9a3c", '"9A3C"', '"9a3c"'])
def test_the_id_does_not_depend_on_how_the_etag_is_written(etag: str) -> None:
    assert job_id("b", "k", etag) == "76e27b17e2df36341f071aa1cc8e96f2b249349862684d067a3d867021eb8b58"


def test_without_records_there_is_no_job() -> None:
    assert fold([]) is None


@pytest.mark.parametrize(
    ("records", "now", "step"),
    [
        ([], 100, Begin(1, 0)),
        ([attempt(1, 130)], 129, Claimed(130)),
        ([attempt(1, 130)], 130, Begin(2, 1)),
        ([attempt(1, 130), renewed(1, 140)], 139, Claimed(140)),
        ([attempt(1, 130), renewed(1, 140)], 140, Begin(2, 1)),
        ([attempt(1, 130), ended(1)], 110, Begin(2, 0)),
        ([attempt(1, 130), ended(1, "audio.crashed", crashed=True)], 110, Begin(2, 1)),
        ([attempt(1, 130), attempt(2, 170)], 150, Claimed(170)),
        ([attempt(1, 130), attempt(2, 170), attempt(3, 200)], 200, Begin(4, MAX_CRASHES)),
        ([attempt(1, 130), TERMINAL], 125, Publish()),
        ([attempt(1, 130), TERMINAL], 999, Publish()),
        ([attempt(1, 130), TERMINAL, PUBLISHED], 999, Close()),
    ],
)
def test_what_a_delivery_does_next(records: list[dict[str, Any]], now: float, step: Step) -> None:
    assert decide(job_of(*records), now) == step


def test_a_verdict_comes_back_as_it_was_written() -> None:
    verdict = Verdict("quarantined", "audio.empty", "advice", ("report.txt",), None, 1, 2, 3, 4)
    terminal = job_of(attempt(1, 130), terminal_record(1, 1, verdict, 120.0)).latest.terminal
    assert terminal is not None
    assert (terminal.verdict, terminal.attempt, terminal.at) == (verdict, 1, 120.0)


def test_of_two_terminal_records_the_first_counts() -> None:
    second = terminal_record(1, 2, Verdict("failed", "x"), 130.0)
    terminal = job_of(attempt(1, 130), TERMINAL, second).latest.terminal
    assert terminal is not None
    assert terminal.verdict.state == "done"


@pytest.mark.parametrize(
    "unknown", [{"type": "someday", "generation": 1, "task": "t"}, {"type": "attempt", "generation": 7}, {"what": 1}]
)
def test_records_of_a_later_version_are_passed_over(unknown: dict[str, Any]) -> None:
    assert job_of(attempt(1, 130), unknown, TERMINAL) == job_of(attempt(1, 130), TERMINAL)


def test_an_upload_of_the_same_bytes_opens_another_generation_which_counts_its_own_attempts() -> None:
    job = job_of(attempt(1, 130), TERMINAL, PUBLISHED, GENERATION)
    assert (job.latest.number, job.latest.opened_at, job.latest.terminal) == (2, 150.0, None)
    assert decide(job, 160) == Begin(1, 0)
    assert job.generations[0].published


@pytest.mark.parametrize(
    "records",
    [
        [GENERATION],
        [attempt(1, 130), TERMINAL, GENERATION],
        [attempt(1, 130), TERMINAL, PUBLISHED, {**GENERATION, "generation": 3}],
    ],
)
def test_a_generation_follows_only_one_that_is_published(records: list[dict[str, Any]]) -> None:
    assert job_of(*records).latest.number == 1


@pytest.mark.parametrize(
    ("uploaded_at", "request_id", "again"),
    [
        (140.0, "second", True),
        (140.0, "", True),
        (100.0, "second", True),  # in the second in which the attempt began: it may have come too late for it
        (140.0, "first", False),  # the platform's name for the upload is the same: a repeated delivery
        (99.0, "first", False),
        (99.0, "", False),
        (99.0, "second", False),  # before the attempt, which has seen it
        (None, "second", False),  # without a time nothing is known
    ],
)
def test_an_upload_is_another_by_its_request_id_and_time(
    uploaded_at: float | None, request_id: str, again: bool
) -> None:
    job = fold(
        [{**RECEIVED, "uploaded_at": 99.0, "request_id": "first"}, attempt(1, 130), TERMINAL, PUBLISHED],
    )
    assert job is not None
    assert uploaded_again(job, uploaded_at, request_id) == again


def test_an_upload_before_the_verdict_stands_is_no_other() -> None:
    assert not uploaded_again(job_of(attempt(1, 130)), 140.0, "second")


def test_no_upload_opens_two_generations() -> None:
    job = job_of(attempt(1, 130), TERMINAL, PUBLISHED, GENERATION)
    second = replace(job, generations=(job.generations[0], replace(job.latest, terminal=job.generations[0].terminal)))
    assert not uploaded_again(second, 149.0, "second")
    assert not uploaded_again(second, 149.0, "")
    assert uploaded_again(second, 151.0, "third")


@given(st.none() | st.floats(0, 300), st.sampled_from(["", "first", "second"]), st.floats(100, 200))
def test_the_upload_that_opened_a_generation_never_opens_the_next(
    uploaded_at: float | None, request_id: str, began_at: float
) -> None:
    opened = {**GENERATION, "uploaded_at": uploaded_at, "request_id": request_id}
    worked = {**attempt(1, 130), "generation": 2, "at": began_at}
    ended_too = [{**TERMINAL, "generation": 2}, {**PUBLISHED, "generation": 2}]
    job = job_of(attempt(1, 130), TERMINAL, PUBLISHED, opened, worked, *ended_too)
    assert job.latest.number == 2
    assert not uploaded_again(job, uploaded_at, request_id)


def test_an_attempt_holds_the_job_until_it_ends_or_another_begins() -> None:
    assert job_of(attempt(1, 130)).latest.holds(1)
    assert not job_of(attempt(1, 130), ended(1)).latest.holds(1)
    assert not job_of(attempt(1, 130), attempt(2, 170)).latest.holds(1)


records_of_any_order = st.lists(
    st.one_of(
        st.builds(attempt, st.integers(1, 3), st.floats(100, 200)),
        st.builds(renewed, st.integers(1, 3), st.floats(100, 200)),
        st.builds(ended, st.integers(1, 3)),
        st.just(TERMINAL),
        st.just(PUBLISHED),
    )
)


@given(records_of_any_order, st.floats(100, 200))
def test_once_a_verdict_stands_nothing_is_ever_begun_again(records: list[dict[str, Any]], now: float) -> None:
    assert decide(job_of(attempt(1, 130), TERMINAL, *records), now) in (Publish(), Close())


INTENT = {
    "type": "intent", "generation": 1, "n": 1, "submission": 1, "cause": "first", "at": 110.0, "expected_by": 1000.0,
    "plan": {}, "possible_double": False,
}  # fmt: skip
SUBMITTED = {"type": "submitted", "generation": 1, "submission": 1, "task": "t-1", "expected_by": 2000.0, "at": 111.0}
WITHDRAWN = {"type": "withdrawn", "generation": 1, "submission": 1}


def test_a_submission_without_a_task_is_waited_for_and_then_made_once_more() -> None:
    job = job_of(attempt(1, 130), INTENT)
    pending = job.latest.pending
    assert pending is not None
    assert decide(job, 120) == decide(job, 999.9) == Await(pending)
    assert decide(job, 1000.0) == Resubmit(pending, 2)


def test_a_submission_with_a_task_is_asked_for_however_late_it_is() -> None:
    job = job_of(attempt(1, 130), INTENT, SUBMITTED)
    pending = job.latest.pending
    assert pending is not None
    assert (pending.task, pending.expected_by) == ("t-1", 2000.0)
    assert decide(job, 112) == decide(job, 10**9) == Ask(pending, 2, 0)


def test_an_attempt_that_left_its_recording_to_the_service_is_no_crash() -> None:
    latest = job_of(attempt(1, 130), INTENT).latest
    assert (latest.crashes(5000), latest.failures(5000)) == (0, 0)


def test_who_fetches_a_result_holds_the_job_meanwhile() -> None:
    job = job_of(attempt(1, 130), INTENT, SUBMITTED, attempt(2, 300))
    assert decide(job, 299) == Claimed(300)
    assert isinstance(decide(job, 300), Ask)
    assert job.latest.crashes(300) == 1


def test_a_refused_submission_leaves_nothing_to_wait_for() -> None:
    job = job_of(attempt(1, 130), INTENT, WITHDRAWN, ended(1))
    assert job.latest.pending is None
    assert isinstance(decide(job, 120), Begin)


def test_a_task_that_is_known_stays_known() -> None:
    other = {**SUBMITTED, "task": "t-2"}
    pending = job_of(attempt(1, 130), INTENT, SUBMITTED, other, WITHDRAWN).latest.pending
    assert pending is not None
    assert pending.task == "t-1"
