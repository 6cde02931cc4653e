"""`GET /v1/jobs/{id}` and `GET /v1/jobs`: what callers are told of jobs, and what they are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from functions.transcripts.app import application
from functions.transcripts.job import job_id
from isikit.errors import SpeechUnavailable
from isikit.limits import Limits, Rate
from isikit.limits.admission import DEFAULT_RATES
from unit.transcripts.scene import BUCKET, SECRETS, Scene, etag_of, event_of, mono, speech

KEY = "in/acme/录音 1+2%20.wav"
PLACE = "transcripts/acme/录音 1+2%20.wav"
CALL = mono(speech(1000))
ACME = {"X-Api-Key": SECRETS["acme"]}
OTHER = {"X-Api-Key": SECRETS["other"]}
ID = job_id(BUCKET, KEY, etag_of(CALL))


async def get(
    scene: Scene, path: str, headers: dict[str, str] | None = None, params: dict[str, str] | None = None
) -> httpx2.Response:
    process = scene.process()
    transport = httpx2.ASGITransport(application(lambda: process))
    async with httpx2.AsyncClient(transport=transport, base_url="http://asr") as client:
        return await client.get(path, params=params, headers=ACME if headers is None else headers)


async def jobs(scene: Scene, path: str = "/v1/jobs", **params: str) -> list[dict[str, Any]]:
    answer = await get(scene, path, params=params)
    assert answer.status_code == 200
    assert list(answer.json()) == ["jobs"]
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found


async def finished(metadata: dict[str, str] | None = None) -> Scene:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, CALL, metadata))
    return scene


async def test_a_job_that_is_done_names_its_files_in_the_bucket() -> None:
    assert await jobs(await finished(), f"/v1/jobs/{ID}") == [
        {
            "id": ID,
            "generation": 1,
            "state": "done",
            "reason": None,
            "bucket": "recordings",
            "key": KEY,
            "outputs": {kind: f"{PLACE}.{kind}" for kind in ("json", "txt", "srt", "vtt")},
            "expected_by": None,
        }
    ]


async def test_every_file_named_is_there() -> None:
    scene = await finished()
    (job,) = await jobs(scene, bucket=BUCKET, key=KEY)
    assert all(key in scene.recordings.objects for key in job["outputs"].values())


async def test_a_job_is_found_by_bucket_and_key_however_the_key_is_spelled() -> None:
    assert [job["id"] for job in await jobs(await finished(), bucket=BUCKET, key=KEY)] == [ID]


async def test_a_job_is_found_by_call_id() -> None:
    assert [job["id"] for job in await jobs(await finished({"call-id": "通话 7"}), call_id="通话 7")] == [ID]


async def test_versions_of_one_recording_come_oldest_first() -> None:
    scene = await finished()
    scene.clock.move(10)
    await scene.deliver(scene.upload(KEY, b""))
    assert [job["state"] for job in await jobs(scene, bucket=BUCKET, key=KEY)] == ["done", "quarantined"]


async def test_recordings_of_one_call_come_oldest_first() -> None:
    scene = Scene()
    for key in ("in/acme/b.wav", "in/acme/a.wav"):
        await scene.deliver(scene.upload(key, CALL, {"call-id": "c-1"}))
        scene.clock.move(1)
    assert [job["key"] for job in await jobs(scene, call_id="c-1")] == ["in/acme/b.wav", "in/acme/a.wav"]


@pytest.mark.parametrize(
    "params", [{"bucket": BUCKET, "key": "in/acme/none.wav"}, {"bucket": "other", "key": KEY}, {"call_id": "none"}]
)
async def test_where_there_are_none_the_list_is_empty(params: dict[str, str]) -> None:
    assert await jobs(await finished(), **params) == []


@pytest.mark.parametrize("identifier", ["0" * 64, "x", ID.upper()])
async def test_an_id_that_is_no_jobs_is_an_empty_list(identifier: str) -> None:
    assert await jobs(await finished(), f"/v1/jobs/{identifier}") == []


@pytest.mark.parametrize(
    ("path", "params"),
    [(f"/v1/jobs/{ID}", {}), ("/v1/jobs", {"bucket": BUCKET, "key": KEY}), ("/v1/jobs", {"call_id": "c-1"})],
)
async def test_another_tenants_job_is_as_if_it_were_not_there(path: str, params: dict[str, str]) -> None:
    answer = await get(await finished({"call-id": "c-1"}), path, OTHER, params)
    assert (answer.status_code, answer.json()) == (200, {"jobs": []})


async def test_a_quarantined_job_says_why_and_has_no_outputs() -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, b""))
    (job,) = await jobs(scene, bucket=BUCKET, key=KEY)
    assert (job["state"], job["reason"], job["outputs"]) == ("quarantined", "audio.empty", {})


async def test_a_recording_that_was_deleted_is_a_skipped_job() -> None:
    scene = Scene()
    await scene.deliver(event_of(KEY, etag_of(CALL), 1, {}))
    (job,) = await jobs(scene, bucket=BUCKET, key=KEY)
    assert (job["state"], job["reason"]) == ("skipped", "recording.deleted")


async def test_a_job_that_is_worked_on_is_received_and_no_time_is_promised() -> None:
    scene = Scene()
    seen: list[dict[str, Any]] = []

    async def look() -> None:
        seen.extend(await jobs(scene, bucket=BUCKET, key=KEY))

    scene.recognise.before = look
    await scene.deliver(scene.upload(KEY, CALL))
    assert (seen[0]["state"], seen[0]["outputs"]) == ("received", {})
    assert seen[0]["expected_by"] is None


async def test_a_job_whose_attempt_failed_is_waiting_for_the_next() -> None:
    scene = Scene()
    scene.recognise.errors = [SpeechUnavailable()]
    with pytest.raises(SpeechUnavailable):
        await scene.deliver(scene.upload(KEY, CALL))
    (job,) = await jobs(scene, bucket=BUCKET, key=KEY)
    assert (job["state"], job["reason"]) == ("waiting", None)


async def test_an_outcome_is_not_told_before_its_files_can_be_fetched() -> None:
    scene = Scene()
    seen: list[dict[str, Any]] = []
    copy = scene.recordings.copy

    async def look_and_copy(*arguments: Any, **named: Any) -> None:
        seen.extend(await jobs(scene, bucket=BUCKET, key=KEY))
        await copy(*arguments, **named)

    scene.recordings.copy = look_and_copy  # type: ignore[method-assign]
    await scene.deliver(scene.upload(KEY, CALL))
    assert {job["state"] for job in seen} == {"received"}
    assert all(job["outputs"] == {} for job in seen)


@pytest.mark.parametrize(
    ("params", "mistakes"),
    [
        ({}, {("bucket", "missing"), ("key", "missing")}),
        ({"bucket": "b"}, {("key", "missing")}),
        ({"bucket": "b", "key": ""}, {("key", "missing")}),
        ({"call_id": ""}, {("call_id", "missing")}),
        ({"call_id": "c", "key": "k"}, {("key", "conflict")}),
    ],
)
async def test_an_unclear_question_names_all_its_mistakes(
    params: dict[str, str], mistakes: set[tuple[str, str]]
) -> None:
    answer = await get(Scene(), "/v1/jobs", params=params)
    assert answer.status_code == 400
    assert {(error["field"], error["code"]) for error in answer.json()["errors"]} == mistakes


@pytest.mark.parametrize("path", ["/v1/jobs", f"/v1/jobs/{ID}"])
@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "key-acme.wrong-secret-0123456789"}])
async def test_who_is_not_known_is_told_nothing(path: str, headers: dict[str, str]) -> None:
    answer = await get(await finished(), path, headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "identity.refused")


@pytest.mark.parametrize("path", ["/", "/v1/calls", "/invoke", "/v1/jobs/a/b"])
async def test_everything_else_is_a_problem_document(path: str) -> None:
    answer = await get(Scene(), path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_openapi_document_is_open_and_describes_every_field_of_a_job() -> None:
    answer = await get(Scene(), "/openapi.json", {})
    described = answer.json()["components"]["schemas"]["Job"]
    (job,) = await jobs(await finished(), bucket=BUCKET, key=KEY)
    assert set(described["properties"]) == set(described["required"]) == set(job)


async def test_more_questions_than_the_rate_allows_are_429() -> None:
    scene = Scene()
    process = replace(scene.process(), limits=Limits(scene.state, defaults={**DEFAULT_RATES, "jobs": Rate(2, 86_400)}))
    transport = httpx2.ASGITransport(application(lambda: process))
    async with httpx2.AsyncClient(transport=transport, base_url="http://asr") as client:
        answers = [await client.get(path, headers=ACME) for path in ("/v1/jobs/x", "/v1/jobs?call_id=1", "/v1/jobs/x")]
    assert answers[2].status_code == 429
    assert answers[2].json()["code"] == "limit.rate"
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
