"""The speech service's callbacks: what proves them, and how little they can do."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from functions.transcripts.callbacks import LIFE_SECONDS, LOOKED_AT_BYTES, Callback, CallbackRefused, task_in
from functions.transcripts.events import EventUnreadable, Resume
from isikit.nls.filetrans import SubmissionUnclear
from isikit.secrets import Keys
from unit.transcripts.scene import CALLBACK_BASE, KEYS, Scene, Service
from unit.transcripts.test_file_mode import KEY, LONG, PLACE, handed_over

NOW = 1_700_000_000.0


def changed(url: str, place: int, value: str) -> str:
    """The address with one part of its path (counted from the end) replaced."""
    parts = url.split("/")
    parts[place] = value
    return "/".join(parts)


async def waiting() -> tuple[Scene, Service, str]:
    scene, service, _ = await handed_over()
    service.end("hello")
    return scene, service, service.orders[0].callback_url


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (-1, "1." + "0" * 64), (-1, "1."), (-1, "9." + "0" * 64), (-1, "0" * 64), (-1, "1." + "é" * 64),
        (-2, "1900000000"), (-3, "2"), (-4, "2"), (-5, "0" * 64),
        (-2, "9" * 5000), (-3, "01"), (-4, "x"), (-4, "-1"), (-4, "١"),
    ],
)  # fmt: skip
async def test_a_changed_address_is_refused_before_anything_is_read(place: int, value: str) -> None:
    scene, service, url = await waiting()
    calls = scene.state.calls.copy()
    answer = await scene.post(changed(url, place, value))
    assert (answer.status_code, answer.json()["code"]) == (403, "callback.refused")
    assert scene.state.calls - calls <= Counter(get=1)  # the key file, of a fresh instance
    assert service.asked == 0


async def test_an_address_past_its_time_is_refused() -> None:
    scene, service, url = await waiting()
    scene.clock.move(LIFE_SECONDS)
    assert (await scene.post(url)).status_code == 403
    assert service.asked == 0


async def test_a_replay_is_refused_and_spends_nothing() -> None:
    scene, service, url = await waiting()
    assert (await scene.post(url)).status_code == 200
    asked, journal = service.asked, scene.records(KEY, LONG)
    for _ in range(3):
        answer = await scene.post(url)
        assert (answer.status_code, answer.json()["code"]) == (410, "callback.spent")
    assert (service.asked, scene.records(KEY, LONG)) == (asked, journal)


async def test_an_address_of_a_submission_before_is_refused() -> None:
    scene, service, _ = await handed_over()
    service.fail("nls.file_not_fetched", retryable=True)
    await scene.call_back(service.orders[0])
    assert (await scene.call_back(service.orders[0])).status_code == 410
    service.end("hello", task="task-0002")
    assert (await scene.call_back(service.orders[1])).json() == {"outcome": "ended"}


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00", b"[" * 200_000, b'{"TaskId": "task-9999", "StatusCode": 41050003}', b"x" * 5_000_000]
)
async def test_what_a_callback_says_changes_nothing(body: bytes) -> None:
    scene, _, url = await waiting()
    assert (await scene.post(url, body)).json() == {"outcome": "ended"}
    assert scene.read(f"{PLACE}.txt") == "hello\n"


async def test_a_name_that_the_service_does_not_know_costs_one_counted_submission_at_most() -> None:
    scene = Scene()
    service = scene.with_queue()
    service.errors = [SubmissionUnclear()]
    await scene.deliver(scene.upload(KEY, LONG))
    job = scene.job(KEY, LONG)
    url = Callback(job.id, 1, 1, int(scene.clock.now()) + 60).url(CALLBACK_BASE, Keys.parse(KEYS))
    service.fail("nls.task_expired", task="somebodys-task")
    await scene.post(url, b'{"TaskId": "somebodys-task"}')
    assert len(service.orders) == 1
    service.end("hello")
    await scene.tick()
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.possible_double) == ("done", 1)


async def test_the_work_is_left_to_a_call_of_the_function_itself_whose_answer_destinations_get() -> None:
    scene, service, url = await waiting()
    scene.left = []
    answer = await scene.post(url)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "left"})
    job = scene.job(KEY, LONG)
    assert (scene.left, service.asked, job.latest.terminal) == ([b'{"resume":"%s"}' % job.id.encode()], 0, None)
    (told,) = (await scene.deliver(scene.left[0]))["jobs"]
    assert (told["id"], told["outcome"], told["state"]) == (job.id, "ended", "done")
    assert told["outputs"]["txt"] == f"{PLACE}.txt"
    (again,) = (await scene.deliver(scene.left[0]))["jobs"]  # the platform may deliver it twice
    assert again == told
    assert service.asked == 1


async def test_the_name_of_a_task_is_kept_before_the_work_is_left() -> None:
    scene = Scene()
    service = scene.with_queue()
    service.errors = [SubmissionUnclear()]
    await scene.deliver(scene.upload(KEY, LONG))
    job, scene.left = scene.job(KEY, LONG), []
    service.end("hello", task="task-of-it")
    url = Callback(job.id, 1, 1, int(scene.clock.now()) + 60).url(CALLBACK_BASE, Keys.parse(KEYS))
    await scene.post(url, b'{"TaskId": "task-of-it"}')
    (told,) = (await scene.deliver(scene.left[0]))["jobs"]
    assert (told["state"], len(service.orders)) == ("done", 0)


@pytest.mark.parametrize("told", [None, 1, "", "x", "0" * 63, "0" * 64 + "\n", {"job": "0" * 64}])
async def test_an_event_that_resumes_nothing_is_refused(told: object) -> None:
    with pytest.raises(EventUnreadable):
        await Scene().deliver(json.dumps({"resume": told}).encode())


async def test_a_job_that_is_resumed_and_unknown_is_told_so() -> None:
    scene = Scene()
    assert (await scene.deliver(Resume("0" * 64).event()))["jobs"] == [{"id": "0" * 64, "outcome": "unknown"}]
    assert scene.keys("jobs/") == []


async def test_without_a_queue_every_callback_is_refused() -> None:
    scene, _, url = await waiting()
    scene.service = None
    assert (await scene.post(url)).status_code == 403


def test_a_proof_of_another_key_or_past_its_time_is_none() -> None:
    keys = Keys.parse(KEYS)
    callback = Callback("0" * 64, 1, 1, int(NOW) + 60)
    proof = callback.url("", keys).rpartition("/")[2]
    callback.check(proof, keys, NOW)
    other = Keys(1, {1: bytes(32)})
    with pytest.raises(CallbackRefused):
        callback.check(proof, other, NOW)
    with pytest.raises(CallbackRefused):
        callback.check(proof, keys, NOW + 60)


def test_only_the_first_bytes_are_searched_for_a_name() -> None:
    assert task_in(b'{"TaskId":"abcdefgh12345678"}') == "abcdefgh12345678"
    assert task_in(b'{"task_id": "abcdefgh"}') == "abcdefgh"
    assert task_in(b" " * LOOKED_AT_BYTES + b'{"TaskId":"abcdefgh"}') is None
    assert task_in(b'{"TaskId":"../../x y"}') is None
