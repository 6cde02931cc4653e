"""`/stream/v1/tts` and `/stream/v1/asr` over plain HTTP."""

from __future__ import annotations

import struct
from urllib.parse import urlencode

import pytest

from localcloud.engines import modem
from support import carriage


def heard(pcm: bytes, rate_hz: int = 16000) -> str:
    return " ".join(found.text for found in modem.decode(pcm, rate_hz))


@pytest.mark.parametrize("audio_format", ["pcm", "wav", "mp3"])
async def test_success_is_audio_mpeg_whatever_the_format(service, audio_format: str) -> None:
    reply = await service.tts("今天是周一，天气挺好的。", format=audio_format)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "audio/mpeg"
    assert len(reply.headers["X-NLS-RequestId"]) == 32
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.headers["Server"] == "Tengine"
    assert "Content-Length" not in reply.headers


async def test_the_audio_is_that_of_the_text(service) -> None:
    reply = await service.tts("今天是周一，天气挺好的。", sample_rate=8000)
    assert heard(reply.body, 8000) == "今天是周一，天气挺好的。"


async def test_a_wav_header_comes_first_and_its_lengths_are_estimates(service) -> None:
    reply = await service.tts("hello", format="wav", sample_rate=24000, voice="siyue")
    assert reply.body[:4] == b"RIFF"
    assert struct.unpack_from("<I", reply.body, 40)[0] != len(reply.body) - 44
    assert heard(reply.body[44:], 24000) == "hello"


async def test_parameters_may_stand_in_the_query_as_text(service) -> None:
    query = urlencode(
        {
            "appkey": service.appkey,
            "token": service.token,
            "text": "你好 world",
            "sample_rate": "8000",
            "volume": "70",
            "speech_rate": "-100",
        }
    )
    reply = await service.http("GET", f"/stream/v1/tts?{query}")
    assert heard(reply.body, 8000) == "你好 world"


async def test_the_token_may_stand_in_the_header(service) -> None:
    query = urlencode({"appkey": service.appkey, "text": "hello"})
    reply = await service.http("GET", f"/stream/v1/tts?{query}", headers={"X-NLS-Token": service.token})
    assert heard(reply.body) == "hello"


async def test_failures_are_json_with_the_task_id(service) -> None:
    reply = await service.tts(None)
    assert reply.status == 400
    assert reply.headers["Content-Type"].startswith("application/json")
    assert list(reply.json) == ["task_id", "result", "status", "message"]
    assert reply.headers["X-NLS-RequestId"] == reply.json["task_id"]
    assert reply.json["message"] == "Gateway:DIRECTIVE_INVALID:No text specified!"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b""])
async def test_a_body_that_is_no_json_object_is_a_client_error(service, body: bytes) -> None:
    reply = await service.http("POST", "/stream/v1/tts", body, {"Content-Type": "application/json"})
    assert reply.json["status"] == 40000000
    assert reply.json["message"] == "Gateway:CLIENT_ERROR:in post data, json format illegal"


async def test_tokens_are_checked_and_echoed_as_the_service_does(service) -> None:
    invalid = await service.tts(token="c0c1")
    assert (invalid.status, invalid.json["status"]) == (400, 40000001)
    assert invalid.json["message"] == "Meta:ACCESS_DENIED:The token 'c0c1' is invalid!"
    missing = await service.tts(token=None)
    assert missing.json["message"] == "Gateway:ACCESS_DENIED:Missing authorization header!"
    service.clock.move(25 * 3600)
    expired = await service.tts()
    assert expired.json["message"] == f"Gateway:ACCESS_DENIED:The token '{service.token}' has expired!"
    assert service.counter("nls.synthesis") == 0


async def test_appkeys_are_checked(service) -> None:
    assert (await service.tts(appkey="unknown")).json["status"] == 40020105
    assert (await service.tts(appkey=None)).json["status"] == 40000003


@pytest.mark.parametrize(
    ("text", "characters", "calls"),
    [("你好，世界。", 6, 1), ("  a b  ", 3, 1), ("字" * 100, 100, 1), ("字" * 101, 101, 2), ("x" * 500, 300, 3)],
)
async def test_what_is_spoken_is_counted_as_it_is_billed(service, text: str, characters: int, calls: int) -> None:
    await service.tts(text)
    assert service.counter("nls.synthesis") == 1
    assert service.counter("nls.synthesis.characters") == characters
    assert service.counter("nls.synthesis.calls") == calls
    assert service.counter("nls.tts.rest") == 1


async def test_a_sentence_is_recognised_and_booked(service) -> None:
    pcm = await service.said("北京的天气。", silence_ms=300)
    reply = await service.asr(pcm)
    assert reply.status == 200
    assert list(reply.json) == ["task_id", "result", "status", "message"]
    assert reply.json["result"] == "北京的天气。"
    assert (reply.json["status"], reply.json["message"]) == (20000000, "SUCCESS")
    assert service.counter("nls.recognition") == 1
    assert service.counter("nls.recognition.audio_ms") == len(pcm) // 32


async def test_recordings_come_in_wav_and_mp3_too(service) -> None:
    wav = (await service.tts("hello", format="wav")).body
    assert (await service.asr(wav, format="wav")).json["result"] == "hello"
    mp3 = (await service.tts("hello", format="mp3")).body
    assert (await service.asr(mp3, format="mp3")).json["result"] == "hello"


async def test_a_telephone_recording_goes_to_a_telephone_project(service) -> None:
    pcm = carriage.mulaw(await service.said("hello", rate_hz=8000))
    assert (await service.asr(pcm, appkey=service.appkey_8k, sample_rate=8000)).json["result"] == "hello"
    wrong = await service.asr(pcm, sample_rate=8000)
    assert (wrong.status, wrong.json["status"]) == (400, 41010101)


async def test_silence_is_success_without_a_text(service) -> None:
    reply = await service.asr(bytes(32000))
    assert (reply.json["status"], reply.json["result"]) == (20000000, "")


@pytest.mark.parametrize(
    ("audio", "more", "status"),
    [
        (b"", {}, 40010005),
        (bytes(32002 * 60), {}, 41010104),
        (b"RIFF....WAVEjunk" + bytes(100), {"format": "wav"}, 40000009),
        (b"no wav at all" + bytes(100), {"format": "wav"}, 40000009),
        (b"\0" * 4000, {"format": "mp3"}, 41010100),
        (bytes(3200), {"format": "flac"}, 41010100),
        (bytes(3200), {"format": "opu"}, 40010002),
        (bytes(3200), {"audio_address": "https://example.com/a.wav"}, 40010002),
        (bytes(3200), {"enable_words": "true"}, 40010002),
        (bytes(3200), {"enable_punctuation_prediction": "yes"}, 40000003),
        (bytes(3200), {"appkey": "unknown"}, 40020105),
    ],
)
async def test_recordings_that_are_refused(service, audio: bytes, more, status: int) -> None:
    reply = await service.asr(audio, **more)
    assert reply.json["status"] == status
    assert reply.json["result"] == ""
    assert service.counter("nls.recognition") == 0


async def test_the_usual_switches_are_taken(service) -> None:
    pcm = await service.said("hello")
    switches = {"enable_punctuation_prediction": "true", "enable_inverse_text_normalization": "true"}
    assert (await service.asr(pcm, **switches)).json["result"] == "hello"


async def test_recognition_needs_a_token(service) -> None:
    assert (await service.asr(bytes(3200), token="bad")).json["status"] == 40000001
