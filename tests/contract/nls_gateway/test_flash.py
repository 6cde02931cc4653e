"""Flash recognition: a whole file in one HTTP call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from support import recordings

TEXTS = ("您好，请问有什么可以帮您？", "My number is 482913.")


async def flash(service, data: bytes = b"", method: str = "POST", **more: Any):
    query = {"appkey": service.appkey, "token": service.token, "format": "wav"} | more
    kept = urlencode({name: value for name, value in query.items() if value is not None})
    return await service.http(method, f"/stream/v1/FlashRecognizer?{kept}", data)


@pytest.mark.parametrize("kind", ["wav", "mp3", "aac", "mp4", "opus"])
async def test_every_documented_format_is_recognised_sentence_by_sentence(service, kind: str) -> None:
    reply = await flash(service, recordings.encoded(kind, recordings.speech(*TEXTS)), format=kind)
    assert reply.status == 200
    assert [s["text"] for s in reply.json["flash_result"]["sentences"]] == list(TEXTS)


async def test_the_answer_has_the_documented_shape(service) -> None:
    pcm = recordings.speech(*TEXTS)
    reply = await flash(service, recordings.encoded("wav", pcm), enable_word_level_result="true")
    assert list(reply.json) == ["task_id", "status", "message", "flash_result"]
    assert (reply.json["status"], reply.json["message"]) == (20000000, "SUCCESS")
    result = reply.json["flash_result"]
    assert list(result) == ["duration", "latency", "sentences"]
    assert result["duration"] == len(pcm) // 32
    assert result["latency"] >= 0
    first, second = result["sentences"]
    assert list(first) == ["text", "words", "begin_time", "end_time", "channel_id"]
    assert 0 <= first["begin_time"] < first["end_time"] < second["begin_time"] < second["end_time"]
    assert [word["text"] for word in second["words"]] == ["My", "number", "is", "482913"]
    assert [word["punc"] for word in second["words"]] == ["", "", "", "."]
    assert "".join(word["text"] + word["punc"] for word in first["words"]) == TEXTS[0]
    assert second["words"][0]["begin_time"] == str(second["begin_time"])
    assert second["words"][-1]["end_time"] == str(second["end_time"])
    assert reply.headers["X-NLS-RequestId"] == reply.json["task_id"]


async def test_words_come_only_where_asked_for(service) -> None:
    reply = await flash(service, recordings.encoded("wav", recordings.speech("hello")))
    assert "words" not in reply.json["flash_result"]["sentences"][0]


@pytest.mark.parametrize(
    ("rate_hz", "first_only", "channels"),
    [(8000, None, {0, 1}), (8000, "true", {0}), (8000, "false", {0, 1}), (16000, None, {0}), (16000, "false", {0, 1})],
)
async def test_telephone_models_hear_both_channels_and_others_the_first(service, rate_hz, first_only, channels) -> None:
    caller = recordings.speech("one", rate_hz=rate_hz)
    callee = bytes(2 * rate_hz) + recordings.speech("two", rate_hz=rate_hz)
    data = recordings.encoded("wav", caller, callee, rate_hz=rate_hz)
    appkey = service.appkey_8k if rate_hz == 8000 else service.appkey
    reply = await flash(service, data, appkey=appkey, sample_rate=rate_hz, first_channel_only=first_only)
    found = {(s["channel_id"], s["text"]) for s in reply.json["flash_result"]["sentences"]}
    assert found == {(channel, ("one", "two")[channel]) for channel in channels}
    billed = reply.json["flash_result"]["duration"] * len(channels)
    assert service.counter("nls.recognition.audio_ms") == billed


async def test_audio_of_another_rate_is_brought_to_the_models(service) -> None:
    data = recordings.encoded("wav", recordings.speech("hello", rate_hz=44100), rate_hz=44100)
    assert (await flash(service, data)).json["flash_result"]["sentences"][0]["text"] == "hello"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"token": None}, 40000001),
        ({"token": "bad"}, 40000001),
        ({"appkey": None}, 40000003),
        ({"appkey": "unknown"}, 40020105),
        ({"format": None}, 40000003),
        ({"format": "flac"}, 40270001),
        ({"format": "mp3"}, 40270003),
        ({"sample_rate": "8000"}, 41010101),
        ({"sample_rate": "44100"}, 40000003),
        ({"speech_noise_threshold": "2"}, 40000003),
        ({"first_channel_only": "maybe"}, 40000003),
        ({"sentence_max_length": "10"}, 40010002),
        ({"unheard_of": "1"}, 40010002),
        ({"audio_address": "http://127.0.0.1/a.wav"}, 40010005),
    ],
)
async def test_parameters_are_checked(service, changes: dict[str, Any], status: int) -> None:
    reply = await flash(service, recordings.encoded("wav", recordings.speech("hello")), **changes)
    assert reply.json["status"] == status
    assert reply.json["result"] == ""
    assert service.counter("nls.recognition") == 0


async def test_the_token_must_stand_in_the_query(service) -> None:
    query = urlencode({"appkey": service.appkey, "format": "wav"})
    headers = {"X-NLS-Token": service.token}
    reply = await service.http("POST", f"/stream/v1/FlashRecognizer?{query}", b"RIFF", headers)
    assert reply.json["message"] == "Gateway:ACCESS_DENIED:Missing authorization header!"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 40010005),
        (b"no audio at all", 40270003),
        (recordings.encoded("wav", bytes(32000)), 40270002),
        (recordings.encoded("wav", recordings.babble(32000, 16000)), 40270002),
        (recordings.encoded("wav", *[bytes(320)] * 4), 40270004),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 40270003),
    ],
    ids=["nothing", "text", "silence", "noise", "four channels", "a playlist"],
)
async def test_files_without_speech_are_refused(service, data: bytes, status: int) -> None:
    assert (await flash(service, data)).json["status"] == status


async def test_size_and_length_are_limited(service) -> None:
    data = recordings.encoded("wav", recordings.speech("hello"))
    service.gateway.limits.flash_bytes = len(data)
    assert (await flash(service, data)).status == 200
    service.gateway.limits.flash_bytes = len(data) - 1
    reply = await flash(service, data)
    assert (reply.status, reply.json["status"]) == (413, 40000000)
    service.gateway.limits.flash_bytes = len(data)
    service.gateway.limits.flash_audio_ms = 1000
    reply = await flash(service, data)
    assert (reply.status, reply.json["status"]) == (400, 40000000)
    assert "2 hours" in reply.json["message"]


async def test_the_real_limits_are_100_mb_and_2_h(service) -> None:
    assert service.gateway.limits.flash_bytes == 100 * 1024 * 1024
    assert service.gateway.limits.flash_audio_ms == 2 * 3600 * 1000


async def test_ten_at_once_is_the_quota(service) -> None:
    assert service.gateway.limits.concurrency["flash"] == 10
    service.gateway.limits.concurrency["flash"] = 1
    service.faults.arm(operation="nls.flash", action="delay", seconds=0.5)
    data = recordings.encoded("wav", recordings.speech("hello"))
    replies = await asyncio.gather(*(flash(service, data) for _ in range(2)))
    assert sorted(reply.json["status"] for reply in replies) == [20000000, 40000005]
    assert service.gateway.quotas.busy("flash") == 0


async def test_no_result_in_time_is_the_documented_code(service) -> None:
    service.gateway.limits.flash_seconds = 0.1
    service.faults.arm(operation="nls.flash", action="delay", seconds=5)
    reply = await flash(service, recordings.encoded("wav", recordings.speech("hello")))
    assert reply.json["status"] == 40000004
    assert service.gateway.quotas.busy("flash") == 0


@pytest.mark.parametrize(
    ("fault", "http_status", "status", "spent"),
    [
        ({"action": "error", "code": "40000005"}, 400, 40000005, 0),
        ({"action": "error", "code": "50000000", "status": 200}, 200, 50000000, 0),
        ({"action": "error", "when": "after", "code": "50000001"}, 500, 50000001, 1),
        ({"action": "task_failed_after_audio", "code": "40000004"}, 400, 40000004, 1),
    ],
)
async def test_failures_on_demand(service, fault, http_status: int, status: int, spent: int) -> None:
    service.faults.arm(operation="nls.flash", **fault)
    reply = await flash(service, recordings.encoded("wav", recordings.speech("hello")))
    assert (reply.status, reply.json["status"]) == (http_status, status)
    assert service.counter("nls.recognition") == spent


@pytest.fixture
async def shelf() -> AsyncIterator[tuple[str, dict[str, bytes]]]:
    """A file server on loopback: its address, and its files by name."""
    files: dict[str, bytes] = {}

    async def give(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "chunked":
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            await response.write(files["a.wav"])
            return response
        if name == "elsewhere":
            raise web.HTTPFound("/a.wav")
        if name not in files:
            raise web.HTTPNotFound
        return web.Response(body=files[name])

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", files
    await runner.cleanup()


@pytest.mark.parametrize("method", ["POST", "GET"])  # the documents say POST, their Java sample sends GET
async def test_a_file_can_be_fetched_by_its_address(service, shelf, method: str) -> None:
    url, files = shelf
    files["a.wav"] = recordings.encoded("wav", recordings.speech("hello"))
    reply = await flash(service, method=method, audio_address=f"{url}/a.wav")
    assert reply.json["flash_result"]["sentences"][0]["text"] == "hello"


async def test_a_file_that_cannot_be_fetched_is_the_documented_code(service, shelf) -> None:
    url, files = shelf
    files["a.wav"] = recordings.encoded("wav", recordings.speech("hello"))
    for address in (f"{url}/missing", f"{url}/chunked", f"{url}/elsewhere", "http://192.0.2.1/a.wav"):
        assert (await flash(service, audio_address=address)).json["status"] == 40270006
    assert (await flash(service, audio_address="file:///etc/passwd")).json["status"] == 40000003
    service.gateway.limits.flash_bytes = 1000
    assert (await flash(service, audio_address=f"{url}/a.wav")).json["status"] == 40270006
