"""File transcription through the official SDK, as its samples call it: SubmitTask, then GetTaskResult by polling."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aliyunsdkcore.acs_exception.exceptions import ServerException

from localcloud.account import AccessKey
from localcloud.pop.filetrans import documents, statuses
from support import recordings
from support.serving import served

from .conftest import Server

WAITING = ("QUEUEING", "RUNNING")
VERSION = "2018-08-17"


@dataclass
class Shelf:
    """A file server that can misbehave, and a place for callbacks."""

    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    host: str = ""

    def put(self, name: str, data: bytes) -> str:
        """Offer a file; its URL."""
        self.files[name] = data
        return self.url(name)

    def url(self, name: str) -> str:
        """The address of a file, there or not; `status-403` and the like answer with that status."""
        return f"http://{self.host}/{name}"

    def app(self) -> web.Application:
        async def give(request: web.Request) -> web.StreamResponse:
            name = request.match_info["name"]
            if name.startswith("status-"):
                return web.Response(status=int(name.removeprefix("status-")))
            response = web.StreamResponse()
            if name.startswith("chunked-"):
                response.enable_chunked_encoding()
            else:
                response.content_length = len(self.files[name]) + (10 if name.startswith("short-") else 0)
            await response.prepare(request)
            await response.write(self.files[name])
            if name.startswith("short-") and request.transport is not None:
                request.transport.close()
            return response

        async def take(request: web.Request) -> web.Response:
            self.calls.append(await request.json())
            return web.Response()

        app = web.Application()
        app.router.add_get("/{name}", give)
        app.router.add_post("/callback", take)
        return app


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    running = Shelf()
    with served(running.app) as host:
        running.host = host
        yield running


@pytest.fixture
def server(shelf: Shelf, server: Server) -> Server:
    """The service, stopped before the file server that it may still be reading from."""
    return server


def submit(server: Server, **task: Any) -> dict[str, Any]:
    task = {"appkey": server.account.add_project().appkey, "version": "4.0"} | task
    return server.call("SubmitTask", VERSION, body={"Task": json.dumps(task)})


def state(server: Server, task_id: str) -> dict[str, Any]:
    """One query, a second of the service's clock after the one before."""
    server.clock.move(1.01)
    return server.call("GetTaskResult", VERSION, method="GET", query={"TaskId": task_id})


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found


def result(server: Server, task_id: str) -> dict[str, Any]:
    """What a task ended with."""

    def ended() -> dict[str, Any] | None:
        answer = state(server, task_id)
        return None if answer["StatusText"] in WAITING else answer

    found: dict[str, Any] = until(ended)
    return found


def transcribed(server: Server, **task: Any) -> dict[str, Any]:
    answer = submit(server, **task)
    assert (answer["StatusText"], answer["StatusCode"]) == ("SUCCESS", 21050000)
    return result(server, answer["TaskId"])


def wav(*texts: str, rate_hz: int = 16000) -> bytes:
    return recordings.encoded("wav", recordings.speech(*texts, rate_hz=rate_hz), rate_hz=rate_hz)


def test_a_recording_is_transcribed_in_the_documented_shape(server: Server, shelf: Shelf) -> None:
    texts = ("北京的天气。", "My number is 482913.")
    answer = transcribed(server, file_link=shelf.put("a.wav", wav(*texts)), enable_words=True)
    assert set(answer) == {
        "TaskId",
        "RequestId",
        "StatusText",
        "BizDuration",
        "SolveTime",
        "StatusCode",
        "Result",
    }
    assert (answer["StatusText"], answer["StatusCode"]) == ("SUCCESS", 21050000)
    assert answer["BizDuration"] == len(recordings.speech(*texts)) // 32
    assert answer["SolveTime"] == pytest.approx(server.clock.now() * 1000, abs=120_000)
    first, second = answer["Result"]["Sentences"]
    names = {"EndTime", "SilenceDuration", "BeginTime", "Text", "ChannelId", "SpeechRate", "EmotionValue"}
    assert set(first) == names
    assert (first["Text"], second["Text"]) == texts
    assert first["BeginTime"] < first["EndTime"] < second["BeginTime"]
    assert first["SilenceDuration"] == 0
    assert second["SilenceDuration"] == (second["BeginTime"] - first["EndTime"]) // 1000 == 1  # seconds, not ms
    assert first["SpeechRate"] == pytest.approx(240, rel=0.4)
    assert 1 <= first["EmotionValue"] <= 10
    words = answer["Result"]["Words"]
    assert set(words[0]) == {"ChannelId", "Word", "BeginTime", "EndTime"}
    assert [word["Word"] for word in words] == [*"北京的天气", "My", "number", "is", "482913"]
    assert words[0]["BeginTime"] == first["BeginTime"]
    assert words[-1]["EndTime"] == second["EndTime"]
    assert server.counter("filetrans.recognition.audio_ms") == answer["BizDuration"]


def test_words_come_only_where_asked_for(server: Server, shelf: Shelf) -> None:
    assert "Words" not in transcribed(server, file_link=shelf.put("a.wav", wav("hello")))["Result"]


@pytest.mark.parametrize("kind", ["mp3", "mp4", "aac", "opus", "flac", "ulaw"])
def test_the_container_is_found_out(server: Server, shelf: Shelf, kind: str) -> None:
    link = shelf.put("recording", recordings.encoded(kind, recordings.speech("hello")))
    answer = transcribed(server, file_link=link, enable_sample_rate_adaptive=True)
    assert answer["Result"]["Sentences"][0]["Text"] == "hello"


@pytest.mark.parametrize(
    ("rate_hz", "first_only", "channels", "billed"),
    [
        (8000, None, [0, 1], 1),
        (8000, True, [0], 1),
        (8000, False, [0, 1], 1),
        (16000, None, [0], 1),
        (16000, False, [0, 1], 2),
        (16000, True, [0], 1),
    ],
)
def test_both_sides_of_a_call_at_8_khz_and_the_first_channel_at_16(
    server: Server, shelf: Shelf, rate_hz: int, first_only: bool | None, channels: list[int], billed: int
) -> None:
    caller = recordings.speech("one", rate_hz=rate_hz)
    callee = bytes(rate_hz * 2) + recordings.speech("two", rate_hz=rate_hz)
    link = shelf.put("call.wav", recordings.encoded("wav", caller, callee, rate_hz=rate_hz))
    appkey = server.account.add_project(sample_rate_hz=rate_hz).appkey
    more = {} if first_only is None else {"first_channel_only": first_only}
    answer = transcribed(server, file_link=link, appkey=appkey, **more)
    heard = [(sentence["ChannelId"], sentence["Text"]) for sentence in answer["Result"]["Sentences"]]
    assert heard == [(channel, ("one", "two")[channel]) for channel in channels]
    assert server.counter("filetrans.recognition.audio_ms") == billed * answer["BizDuration"]


def test_a_sts_session_may_submit_and_query(server: Server, shelf: Shelf) -> None:
    key: AccessKey = server.account.open_session("role/functions")
    task = {"appkey": server.account.add_project().appkey, "file_link": shelf.put("a.wav", wav("hello"))}
    answer = server.call("SubmitTask", VERSION, key=key, body={"Task": json.dumps(task)})
    assert result(server, answer["TaskId"])["Result"]["Sentences"]


def test_the_off_peak_product_has_the_same_messages(server: Server, shelf: Shelf) -> None:
    task = {"appkey": server.account.add_project().appkey, "file_link": shelf.put("a.wav", wav("hello"))}
    answer = server.call("SubmitTask", "2021-12-21", body={"Task": json.dumps(task)})
    assert answer["StatusCode"] == 21050000


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"appkey": ""}, 41050014, "REQUEST_EMPTY_APPKEY_VALUE"),
        ({"appkey": "unknown"}, 41050015, "REQUEST_APPKEY_UNREGISTERED"),
        ({"file_link": None}, 41050011, "REQUEST_INVALID_FILE_URL_VALUE"),
        ({"file_link": r"D:\files\sample.wav"}, 41050011, "REQUEST_INVALID_FILE_URL_VALUE"),
        ({"file_link": "oss://bucket/key.wav"}, 41050011, "REQUEST_INVALID_FILE_URL_VALUE"),
        ({"file_link": "http://localhost/a b.wav"}, 41050011, "REQUEST_INVALID_FILE_URL_VALUE"),
        ({"file_link": "http://192.0.2.1/a.wav"}, 41050011, "REQUEST_INVALID_FILE_URL_VALUE"),
        ({"enable_callback": True}, 41050012, "REQUEST_INVALID_CALLBACK_VALUE"),
        ({"enable_callback": True, "callback_url": "http://192.0.2.1/"}, 41050012, "REQUEST_INVALID_CALLBACK_VALUE"),
        ({"version": "3.0"}, 41050013, "REQUEST_PARAMETER_INVALID"),
        ({"version": "2.0", "enable_words": True}, 41050013, "REQUEST_PARAMETER_INVALID"),
        ({"enable_words": "yes"}, 41050013, "REQUEST_PARAMETER_INVALID"),
        ({"max_end_silence": 100}, 41050013, "REQUEST_PARAMETER_INVALID"),
        ({"max_single_segment_time": 4999}, 41050013, "REQUEST_PARAMETER_INVALID"),
    ],
)
def test_a_wrong_task_is_refused_inside_an_http_200(server: Server, changes: Any, status: int, text: str) -> None:
    answer = submit(server, **{"file_link": "http://localhost/a.wav", **changes})
    assert (answer["StatusCode"], answer["StatusText"]) == (status, text)
    assert server.counter("filetrans.task") == 0


@pytest.mark.parametrize("task", ["{", "[]", "7", '"x"', "[" * 3000])
def test_a_task_that_is_no_json_object_is_refused(server: Server, task: str) -> None:
    assert server.call("SubmitTask", VERSION, body={"Task": task})["StatusCode"] == 41050013


@pytest.mark.parametrize("name", ["auto_split", "valid_times", "sentence_max_length", "unheard_of"])
def test_what_is_not_built_is_refused_rather_than_ignored(server: Server, name: str) -> None:
    with pytest.raises(ServerException) as caught:
        submit(server, file_link="http://localhost/a.wav", **{name: 5})
    assert (caught.value.get_http_status(), caught.value.get_error_code()) == (501, "NotImplemented")


def test_addresses_can_be_refused_as_the_real_service_does(server: Server, shelf: Shelf) -> None:
    server.limits.refuse_addresses = True
    link = shelf.put("a.wav", wav("hello"))
    assert submit(server, file_link=link)["StatusCode"] == 41050011
    assert transcribed(server, file_link=link.replace("127.0.0.1", "localhost"))["StatusCode"] == 21050000


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("status-403", 41050025, "FILE_403_FORBIDDEN"),
        ("status-404", 41050024, "FILE_404_NOT_FOUND"),
        ("status-503", 41050026, "FILE_SERVER_ERROR"),
        ("status-401", 41050002, "FILE_DOWNLOAD_FAILED"),
        ("status-302", 41050002, "FILE_DOWNLOAD_FAILED"),
        ("chunked-a.wav", 41050023, "CONTENT_LENGTH_CHECK_FAILED"),
        ("short-a.wav", 41050023, "CONTENT_LENGTH_CHECK_FAILED"),
        ("text", 41050003, "FILE_CHECK_FAILED"),
        ("playlist", 41050003, "FILE_CHECK_FAILED"),
        ("empty", 41050003, "FILE_CHECK_FAILED"),
        ("four.wav", 41050003, "FILE_CHECK_FAILED"),
        ("8k.wav", 41050008, "UNSUPPORTED_SAMPLE_RATE"),
        ("44k.wav", 41050008, "UNSUPPORTED_SAMPLE_RATE"),
        ("silence.wav", 21050003, "SUCCESS_WITH_NO_VALID_FRAGMENT"),
    ],
)
def test_a_file_that_cannot_be_transcribed(server: Server, shelf: Shelf, name: str, status: int, text: str) -> None:
    good = wav("hello")
    shelf.files |= {"chunked-a.wav": good, "short-a.wav": good, "text": b"no audio", "empty": b""}
    shelf.files |= {"playlist": b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/secret\n", "8k.wav": wav("hello", rate_hz=8000)}
    shelf.files |= {"44k.wav": wav("hello", rate_hz=44100), "silence.wav": recordings.encoded("wav", bytes(64000))}
    shelf.files |= {"four.wav": recordings.encoded("wav", *[bytes(320)] * 4)}
    answer = transcribed(server, file_link=shelf.url(name))
    assert (answer["StatusCode"], answer["StatusText"]) == (status, text)
    assert "Result" not in answer
    assert {"TaskId", "BizDuration", "SolveTime"} <= set(answer)


def test_a_server_that_is_not_there_is_a_failed_download(server: Server) -> None:
    for link in ("http://127.0.0.1:1/a.wav", "http://recordings.example.com/a.wav"):
        assert transcribed(server, file_link=link)["StatusText"] == "FILE_DOWNLOAD_FAILED"


def test_size_and_length_are_limited(server: Server, shelf: Shelf) -> None:
    assert (server.limits.file_bytes, server.limits.audio_ms) == (512 * 1024 * 1024, 12 * 3600 * 1000)
    link = shelf.put("a.wav", wav("hello"))
    server.limits.audio_ms = 1000
    assert transcribed(server, file_link=link)["StatusText"] == "AUDIO_DURATION_TOO_LONG"
    server.limits.file_bytes = 1000
    assert transcribed(server, file_link=link)["StatusText"] == "FILE_TOO_LARGE"


def test_high_sample_rates_are_lowered_where_asked_for(server: Server, shelf: Shelf) -> None:
    link = shelf.put("44k.wav", wav("hello", rate_hz=44100))
    answer = transcribed(server, file_link=link, enable_sample_rate_adaptive=True)
    assert answer["Result"]["Sentences"][0]["Text"] == "hello"


def test_a_task_queues_then_runs_then_is_done_as_the_clock_moves(server: Server, shelf: Shelf) -> None:
    server.limits.queue_seconds, server.limits.run_seconds = 3600, 600
    task_id = submit(server, file_link=shelf.put("a.wav", wav("hello")))["TaskId"]
    assert state(server, task_id) | {"RequestId": ""} == {
        "TaskId": task_id,
        "RequestId": "",
        "StatusText": "QUEUEING",
        "StatusCode": 21050002,
    }
    server.clock.move(3600)
    running = until(lambda: (answer := state(server, task_id))["StatusText"] == "RUNNING" and answer)
    assert (running["StatusCode"], running["BizDuration"]) == (21050001, 0)
    server.clock.move(600)
    assert result(server, task_id)["StatusCode"] == 21050000


def test_tasks_beyond_those_running_wait_in_the_queue(server: Server, shelf: Shelf) -> None:
    server.limits.running, server.limits.run_seconds = 1, 3600
    link = shelf.put("a.wav", wav("hello"))
    first, second = (submit(server, file_link=link)["TaskId"] for _ in range(2))
    until(lambda: state(server, first)["StatusText"] == "RUNNING")
    assert state(server, second)["StatusText"] == "QUEUEING"
    server.clock.move(3600)
    assert result(server, first)["StatusCode"] == 21050000
    until(lambda: state(server, second)["StatusText"] == "RUNNING")


def test_the_file_is_fetched_when_the_task_runs_not_when_it_is_submitted(server: Server, shelf: Shelf) -> None:
    server.limits.queue_seconds = 3600
    task_id = submit(server, file_link=shelf.url("status-403"))["TaskId"]
    assert state(server, task_id)["StatusText"] == "QUEUEING"
    server.clock.move(3600)
    assert result(server, task_id)["StatusText"] == "FILE_403_FORBIDDEN"


def test_a_result_is_kept_for_72_hours(server: Server, shelf: Shelf) -> None:
    task_id = submit(server, file_link=shelf.put("a.wav", wav("hello")))["TaskId"]
    result(server, task_id)
    server.clock.move(71 * 3600)
    assert state(server, task_id)["StatusCode"] == 21050000
    server.clock.move(3600)
    assert (answer := state(server, task_id))["StatusCode"] == 41050010
    assert answer["StatusText"] == "FILE_TRANS_TASK_EXPIRED"


def test_an_unknown_task_is_expired(server: Server) -> None:
    assert state(server, "f" * 32)["StatusCode"] == 41050010


def throttled(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(ServerException) as caught:
        call()
    return caught.value.get_http_status(), caught.value.get_error_code(), caught.value.get_error_msg()


def test_one_task_may_be_asked_for_once_a_second(server: Server, shelf: Shelf) -> None:
    task_id = submit(server, file_link=shelf.put("a.wav", wav("hello")))["TaskId"]
    state(server, task_id)
    query = {"TaskId": task_id}
    status, code, message = throttled(lambda: server.call("GetTaskResult", VERSION, method="GET", query=query))
    assert (status, code) == (400, "Throttling.User")
    assert "1qps" in message
    assert state(server, task_id)["TaskId"] == task_id


def test_a_user_may_submit_and_ask_so_many_times_a_second(server: Server, shelf: Shelf) -> None:
    assert (server.limits.submit_qps, server.limits.query_qps, server.limits.task_qps) == (200, 500, 1)
    server.limits.submit_qps = server.limits.query_qps = 2
    link = shelf.put("a.wav", wav("hello"))
    tasks = [submit(server, file_link=link)["TaskId"] for _ in range(2)]
    assert throttled(lambda: submit(server, file_link=link))[1] == "Throttling.User"
    for task_id in tasks:
        server.call("GetTaskResult", VERSION, method="GET", query={"TaskId": task_id})
    query = {"TaskId": "f" * 32}
    answer = throttled(lambda: server.call("GetTaskResult", VERSION, method="GET", query=query))
    assert answer[1:] == ("Throttling.User", "Request was denied due to user flow control.")


def test_the_result_is_posted_to_the_callback_address(server: Server, shelf: Shelf) -> None:
    link = shelf.put("a.wav", wav("hello"))
    answer = transcribed(server, file_link=link, enable_callback=True, callback_url=shelf.url("callback"))
    (call,) = until(lambda: shelf.calls)
    assert call.pop("RequestTime") <= call["SolveTime"]
    del answer["RequestId"]  # a callback has none
    assert call == answer


def test_version_2_has_its_own_shape_of_callback(server: Server, shelf: Shelf) -> None:
    link = shelf.put("a.wav", wav("hello"))
    transcribed(server, file_link=link, version="2.0", enable_callback=True, callback_url=shelf.url("callback"))
    (call,) = until(lambda: shelf.calls)
    assert list(call) == [
        "result",
        "task_id",
        "status_code",
        "status_text",
        "request_time",
        "solve_time",
        "biz_duration",
    ]
    names = {"begin_time", "channel_id", "emotion_value", "end_time", "silence_duration", "speech_rate", "text"}
    assert set(call["result"][0]) == names


def test_a_failure_is_called_back_too(server: Server, shelf: Shelf) -> None:
    transcribed(server, file_link=shelf.url("status-404"), enable_callback=True, callback_url=shelf.url("callback"))
    (call,) = until(lambda: shelf.calls)
    assert call["StatusText"] == "FILE_404_NOT_FOUND"


def test_an_address_without_the_switch_is_not_called(server: Server, shelf: Shelf) -> None:
    link = shelf.put("a.wav", wav("hello"))
    transcribed(server, file_link=link, callback_url=shelf.url("callback"))
    assert server.counter("filetrans.callback") == 0


@pytest.mark.parametrize(("action", "received"), [("duplicate", 2), ("drop", 0)])
def test_callbacks_can_be_lost_and_doubled(server: Server, shelf: Shelf, action: str, received: int) -> None:
    server.faults.arm(operation="filetrans.callback", action=action)
    link = shelf.put("a.wav", wav("hello"))
    for _ in range(2):  # the second is not struck: when it is there, the first is over
        transcribed(server, file_link=link, enable_callback=True, callback_url=shelf.url("callback"))
    until(lambda: len(shelf.calls) == received + 1)
    assert server.counter("filetrans.callback") == 2


def test_a_callback_nobody_takes_is_not_repeated(server: Server, shelf: Shelf) -> None:
    link = shelf.put("a.wav", wav("hello"))
    answer = transcribed(server, file_link=link, enable_callback=True, callback_url="http://127.0.0.1:1/")
    assert answer["StatusCode"] == 21050000
    until(lambda: server.counter("filetrans.callback.failed") == 1)


@pytest.mark.parametrize(("when", "spent"), [("before", 0), ("after", 1)])
def test_a_task_can_fail_before_and_after_it_took_effect(server: Server, shelf: Shelf, when: str, spent: int) -> None:
    server.faults.arm(operation="filetrans.task", action="error", when=when, code="51050000")
    answer = transcribed(server, file_link=shelf.put("a.wav", wav("hello")))
    assert (answer["StatusCode"], answer["StatusText"]) == (51050000, "INTERNAL_ERROR")
    assert server.counter("filetrans.recognition") == spent


def test_a_task_can_be_held_in_the_queue_or_never_end(server: Server, shelf: Shelf) -> None:
    server.faults.arm(operation="filetrans.task", action="delay", seconds=24 * 3600)
    server.faults.arm(operation="filetrans.task", action="never_complete")
    link = shelf.put("a.wav", wav("hello"))
    held, endless = (submit(server, file_link=link)["TaskId"] for _ in range(2))
    server.clock.move(23 * 3600)
    assert state(server, held)["StatusText"] == "QUEUEING"
    server.clock.move(3600)
    assert result(server, held)["StatusCode"] == 21050000
    until(lambda: server.counter("filetrans.recognition") == 2)
    assert state(server, endless)["StatusText"] == "RUNNING"


@pytest.mark.parametrize(
    ("operation", "code", "status", "text"),
    [
        ("pop.SubmitTask", "", 41050001, "USER_BIZDURATION_QUOTA_EXCEED"),
        ("pop.SubmitTask", "41050021", 41050021, "RAM_CHECK_FAILED"),
        ("pop.GetTaskResult", "", 21050003, "SUCCESS_WITH_NO_VALID_FRAGMENT"),
        ("pop.GetTaskResult", "21050000", 21050000, "SUCCESS"),  # and no Result
    ],
)
def test_business_failures_come_with_http_200(
    server: Server, shelf: Shelf, operation: str, code: str, status: int, text: str
) -> None:
    server.faults.arm(operation=operation, action="business", code=code)
    answer = submit(server, file_link=shelf.put("a.wav", wav("hello")))
    if operation == "pop.GetTaskResult":
        answer = state(server, answer["TaskId"])
    assert (answer["StatusCode"], answer["StatusText"]) == (status, text)
    assert "Result" not in answer


def test_a_submission_can_be_lost_on_its_way_back(server: Server, shelf: Shelf) -> None:
    server.faults.arm(operation="pop.SubmitTask", action="error", when="after", status=503)
    with pytest.raises(ServerException):
        submit(server, file_link=shelf.put("a.wav", wav("hello")))
    until(lambda: server.counter("filetrans.recognition") == 1)


def test_every_status_has_its_text() -> None:
    assert documents.submitted("x", 41050024)["StatusText"] == "FILE_404_NOT_FOUND"
    assert len(set(statuses.TEXTS.values())) == len(statuses.TEXTS)
    assert statuses.text_of(1) == "INTERNAL_ERROR"
