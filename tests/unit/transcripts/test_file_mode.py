"""Recordings too long to be recognised while somebody waits: handed over to the service's queue, and finished later."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from functions.transcripts import handover
from functions.transcripts.callbacks import Callback
from functions.transcripts.handover import EXPECTED_SECONDS, OVERDUE_SECONDS
from isikit.errors import SpeechError, SpeechUnavailable
from isikit.nls.filetrans import FileOrder, SubmissionUnclear, TaskAnswer
from isikit.secrets import Keys
from unit.transcripts.scene import CALLBACK_BASE, KEYS, Scene, Service, mono, silence, speech, stereo
from unit.transcripts.test_jobs_http import jobs

KEY = "in/acme/call 1.wav"
PLACE = "transcripts/acme/call 1.wav"
SECOND = speech(1000)
MINUTE = silence(61_000)
LONG = mono(SECOND + MINUTE)
SIDES = stereo(SECOND + MINUTE, MINUTE + SECOND)


async def handed_over(data: bytes = LONG) -> tuple[Scene, Service, bytes]:
    scene = Scene()
    service = scene.with_queue()
    event = scene.upload(KEY, data)
    answer = await scene.deliver(event)
    assert [job["outcome"] for job in answer["jobs"]] == ["submitted"]
    return scene, service, event


async def test_a_long_recording_is_handed_over_and_nobody_waits() -> None:
    scene, service, _ = await handed_over()
    (order,) = service.orders
    assert order.appkey == "narrow"
    assert order.first_channel_only
    job = scene.job(KEY, LONG)
    copy = f"work/{job.id}/1.wav"
    assert order.url.startswith(f"https://state.example.com/{copy}?for=43200")
    assert scene.state.objects[copy].data == LONG
    assert order.callback_url.startswith(f"{CALLBACK_BASE}/v1/callbacks/filetrans/{job.id}/1/1/")
    assert scene.types(KEY, LONG) == ["received", "attempt", "intent", "submitted"]
    assert len(scene.keys("open/")) == 1
    assert service.asked == 0
    assert scene.recognise.calls == []


async def test_a_job_that_the_service_has_says_so_and_when_its_end_is_expected() -> None:
    scene, _, _ = await handed_over()
    (job,) = await jobs(scene, bucket="recordings", key=KEY)
    assert (job["state"], job["outputs"]) == ("submitted", {})
    assert job["expected_by"] == "2023-11-15T01:13:20Z"


async def test_the_callback_finishes_it_with_words_and_channels() -> None:
    scene, service, _ = await handed_over(SIDES)
    assert not service.orders[0].first_channel_only
    service.end("hello", "good day")
    answer = await scene.call_back(service.orders[0])
    assert (answer.status_code, answer.json()) == (200, {"outcome": "ended"})
    told = json.loads(scene.read(f"{PLACE}.json"))
    assert (told["mode"], told["layout"], told["channels"], told["duration_ms"]) == ("file", "two_sides", 2, 62_000)
    assert told["turns"] == [
        {
            "start_ms": 0, "end_ms": 900, "channel": 0, "text": "hello",
            "words": [{"start_ms": 0, "end_ms": 900, "text": "hello"}],
        },
        {
            "start_ms": 1000, "end_ms": 1900, "channel": 1, "text": "good day",
            "words": [{"start_ms": 1000, "end_ms": 1900, "text": "good day"}],
        },
    ]  # fmt: skip
    assert scene.keys("open/") == scene.keys("work/") == []
    terminal = scene.job(KEY, SIDES).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.calls, terminal.verdict.possible_double) == (1, 0)


async def test_the_timer_finishes_what_no_callback_told_of() -> None:
    scene, service, _ = await handed_over()
    assert (await scene.tick())["jobs"][0]["outcome"] == "submitted"
    service.end("hello")
    assert (await scene.tick())["jobs"][0]["outcome"] == "ended"
    assert scene.read(f"{PLACE}.txt") == "hello\n"
    assert (await scene.tick())["jobs"] == []


async def test_looking_at_what_is_not_done_writes_nothing() -> None:
    scene, service, event = await handed_over()
    before = scene.types(KEY, LONG)
    await scene.tick()
    await scene.deliver(event)
    assert (await scene.call_back(service.orders[0])).json() == {"outcome": "submitted"}
    assert scene.types(KEY, LONG) == before
    assert service.asked == 3


async def test_nothing_said_is_a_transcript_without_turns() -> None:
    scene, service, _ = await handed_over()
    service.end()
    await scene.tick()
    assert json.loads(scene.read(f"{PLACE}.json"))["turns"] == []


@pytest.mark.parametrize(
    ("data", "layout", "first_only"),
    [
        (stereo(SECOND + MINUTE, SECOND + MINUTE), "same_on_both_sides", True),
        (stereo(SECOND + MINUTE, silence(62_000)), "one_side_silent", True),
        (stereo(silence(62_000), SECOND + MINUTE), "one_side_silent", False),
    ],
)
async def test_a_side_that_holds_nothing_of_its_own_is_not_paid(data: bytes, layout: str, first_only: bool) -> None:
    scene, service, _ = await handed_over(data)
    assert service.orders[0].first_channel_only is first_only
    service.end("hello")
    await scene.tick()
    assert json.loads(scene.read(f"{PLACE}.json"))["layout"] == layout


async def test_hours_of_silence_are_not_handed_over() -> None:
    scene = Scene()
    service = scene.with_queue()
    await scene.deliver(scene.upload(KEY, mono(silence(90_000))))
    assert service.orders == []
    assert json.loads(scene.read(f"{PLACE}.json"))["turns"] == []


async def test_a_url_that_was_refused_is_signed_anew_once() -> None:
    scene, service, _ = await handed_over()
    service.fail("nls.file_not_fetched", retryable=True)
    assert (await scene.tick())["jobs"][0]["outcome"] == "submitted"
    assert len(service.orders) == 2
    service.fail("nls.file_not_fetched", retryable=True, task="task-0002")
    await scene.tick()
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("failed", "nls.file_not_fetched")
    assert terminal.verdict.possible_double == 0
    assert len(service.orders) == 2
    assert scene.keys("work/") == scene.keys("open/") == []


async def test_a_task_that_the_service_forgot_is_submitted_once_more_and_counted() -> None:
    scene, service, _ = await handed_over()
    service.fail("nls.task_expired")
    await scene.tick()
    service.end("hello", task="task-0002")
    await scene.tick()
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.possible_double) == ("done", 1)


async def test_a_task_that_never_ends_fails_after_the_longest_queue() -> None:
    scene, _, _ = await handed_over()
    scene.clock.move(OVERDUE_SECONDS - 60)
    assert (await scene.tick())["jobs"][0]["outcome"] == "submitted"
    scene.clock.move(60)
    await scene.tick()
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("failed", "recording.task_overdue")


async def unanswered() -> tuple[Scene, Service]:
    scene = Scene()
    service = scene.with_queue()
    service.errors = [SubmissionUnclear()]
    await scene.deliver(scene.upload(KEY, LONG))
    assert scene.types(KEY, LONG) == ["received", "attempt", "intent"]
    return scene, service


async def test_a_submission_without_an_answer_waits_for_its_callback_before_it_is_repeated_once() -> None:
    scene, service = await unanswered()
    (job,) = await jobs(scene, bucket="recordings", key=KEY)
    assert (job["state"], job["expected_by"]) == ("waiting", "2023-11-15T01:13:20Z")
    scene.clock.move(EXPECTED_SECONDS - 1)
    await scene.tick()
    assert service.orders == []
    scene.clock.move(1)
    service.errors = [SubmissionUnclear()]
    await scene.tick()
    scene.clock.move(EXPECTED_SECONDS)
    await scene.tick()
    assert service.orders == []
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.reason, terminal.verdict.possible_double) == ("recording.task_lost", 1)


async def test_a_callback_tells_the_name_of_a_task_whose_answer_was_lost() -> None:
    scene, service = await unanswered()
    service.orders = [_ordered(scene)]
    service.end("hello")
    url = service.orders[0].callback_url
    assert (await scene.post(url, b"no name in it")).json() == {"outcome": "submitted"}
    assert (await scene.post(url, b'{"TaskId": "task-0001", "Result": ')).json() == {"outcome": "ended"}
    assert scene.read(f"{PLACE}.txt") == "hello\n"


def _ordered(scene: Scene) -> FileOrder:
    """The order of a first submission whose answer was lost."""
    keys = Keys.parse(KEYS)
    job = scene.job(KEY, LONG)
    callback = Callback(job.id, 1, 1, int(scene.clock.now()) + 3600)
    return FileOrder("narrow", "https://state.example.com/x", True, False, callback.url(CALLBACK_BASE, keys))


async def test_a_busy_queue_is_asked_again_and_a_refusal_is_final() -> None:
    busy = SpeechUnavailable(code="pop.throttled", retry_after=0)
    scene = Scene()
    service = scene.with_queue()
    service.errors = [busy]
    await scene.deliver(scene.upload(KEY, LONG))
    assert len(service.orders) == 1
    scene = Scene()
    service = scene.with_queue()
    service.errors = [SpeechError(code="nls.appkey_unknown")]
    await scene.deliver(scene.upload(KEY, LONG))
    assert scene.types(KEY, LONG)[2:] == ["intent", "withdrawn", "terminal", "published"]
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert terminal.verdict.reason == "nls.appkey_unknown"
    assert scene.keys("work/") == scene.keys("open/") == []


async def test_a_refused_submission_is_made_anew_by_the_next_attempt_and_is_no_double() -> None:
    scene = Scene()
    service = scene.with_queue()
    service.errors = [SpeechUnavailable(code="pop.unavailable", retry_after=0) for _ in range(3)]
    event = scene.upload(KEY, LONG)
    with pytest.raises(SpeechError):
        await scene.deliver(event)
    assert (await jobs(scene, bucket="recordings", key=KEY))[0]["state"] == "waiting"
    await scene.deliver(event)
    service.end("hello")
    await scene.tick()
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.possible_double, len(service.orders)) == ("done", 0, 1)


async def test_a_recording_that_is_overwritten_while_it_is_copied_is_skipped() -> None:
    scene = Scene()
    service = scene.with_queue()
    event = scene.upload(KEY, LONG)
    copy = scene.state.copy

    async def overwritten(*arguments: str, if_match: str) -> None:
        await copy(*arguments, if_match=if_match)
        scene.upload(KEY, mono(speech(500)))

    scene.state.copy = overwritten  # type: ignore[method-assign]
    await scene.deliver(event)
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("skipped", "recording.replaced")
    assert service.orders == []


async def test_a_recording_that_is_another_only_while_it_is_copied_is_not_handed_over() -> None:
    scene = Scene()
    service = scene.with_queue()
    event = scene.upload(KEY, LONG)
    copy = scene.state.copy

    async def overwritten_and_restored(*arguments: str, if_match: str) -> None:
        scene.upload(KEY, mono(speech(500)))
        try:
            await copy(*arguments, if_match=if_match)
        finally:
            scene.upload(KEY, LONG)

    scene.state.copy = overwritten_and_restored  # type: ignore[method-assign]
    await scene.deliver(event)
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("skipped", "recording.replaced")
    assert (service.orders, scene.keys("work/")) == ([], [])


async def test_a_task_that_cannot_be_asked_for_stays_asked_for() -> None:
    scene, service, _ = await handed_over()
    service.ends = Unreachable()
    for _ in range(6):
        assert (await scene.tick())["jobs"] == []
    service.ends = {}
    service.end("hello")
    await scene.tick()
    assert scene.read(f"{PLACE}.txt") == "hello\n"


class Unreachable(dict[str, TaskAnswer]):
    """Every look at a task fails."""

    def get(self, *_: object) -> TaskAnswer:  # type: ignore[override]
        raise SpeechUnavailable(code="nls.unreachable")


async def test_twelve_hours_of_text_keep_nobody_else_from_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims are prolonged and health checks answered by the thread that would write the files."""
    busy: list[str] = []

    def noted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def called(*told: Any) -> Any:
            busy.extend([name] if threading.current_thread() is threading.main_thread() else [])
            return work(*told)

        return called

    for name in ("turns_of", "files"):
        monkeypatch.setattr(handover, name, noted(name, getattr(handover, name)))
    scene, service, _ = await handed_over()
    service.end("hello")
    assert (await scene.call_back(service.orders[0])).json() == {"outcome": "ended"}
    assert scene.read(f"{PLACE}.txt") == "hello\n"
    assert busy == []
