"""Short and long synthesis over WebSocket: events, audio, refusals."""

from __future__ import annotations

import asyncio
import io
import struct
from typing import Any

import av
import numpy as np
import pytest

from localcloud.engines import modem

SHORT, LONG = "SpeechSynthesizer", "SpeechLongSynthesizer"


def heard(pcm: bytes, rate_hz: int = 16000) -> str:
    return " ".join(found.text for found in modem.decode(pcm, rate_hz))


async def test_the_sdk_gets_the_audio_of_its_text(service) -> None:
    run = await service.sdk_speak("你好，世界。")
    assert heard(run.audio) == "你好，世界。"
    assert run.names[0] == "completed"
    assert "error" not in run.names
    assert max(map(len, run.frames)) == 6896


async def test_events_come_in_order_with_the_recorded_keys(connect) -> None:
    client = await connect()
    await client.say(SHORT, "StartSynthesis", {"text": "hello"})
    started = await client.event()
    assert list(started) == ["header"]
    assert list(started["header"]) == ["namespace", "name", "status", "message_id", "task_id", "status_text"]
    assert started["header"]["name"] == "SynthesisStarted"
    assert started["header"]["namespace"] == SHORT
    assert started["header"]["status"] == 20000000
    assert started["header"]["status_text"] == "Gateway:SUCCESS:Success."
    assert started["header"]["task_id"] == client.task_id
    audio = b""
    while isinstance(item := await client.hear(), bytes):
        audio += item
    assert heard(audio) == "hello"
    assert isinstance(item, dict)
    assert item["header"]["name"] == "SynthesisCompleted"
    assert "payload" not in item
    assert item["header"]["message_id"] != started["header"]["message_id"]


async def test_tasks_may_follow_one_another_on_one_connection(connect) -> None:
    client = await connect()
    for text in ("one", "two"):
        client.task_id = client.task_id[::-1]
        await client.say(SHORT, "StartSynthesis", {"text": text})
        audio, name = b"", ""
        while name != "SynthesisCompleted":
            item = await client.hear()
            assert item is not None
            if isinstance(item, bytes):
                audio += item
            else:
                name = item["header"]["name"]
        assert heard(audio) == text


async def test_a_text_over_300_characters_is_cut_off_silently(service) -> None:
    run = await service.sdk_speak("字" * 350)
    assert heard(run.audio) == "字" * 300
    assert "completed" in run.names
    assert service.counter("nls.synthesis.characters") == 300
    assert service.counter("nls.synthesis.calls") == 3


async def test_long_synthesis_speaks_it_all_sentence_by_sentence(service) -> None:
    text = "这是一个很长的句子。" * 35
    run = await service.sdk_speak(text, long=True)
    assert heard(run.audio).replace(" ", "") == text
    assert run.messages[0]["header"]["namespace"] == LONG
    assert service.counter("nls.synthesis.calls") == 4


async def test_eight_kilohertz_and_wav_with_lengths_that_are_only_estimates(service) -> None:
    run = await service.sdk_speak("hello", aformat="wav", sample_rate=8000)
    data = run.audio
    assert data[:4] + data[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack_from("<I", data, 24) == (8000,)
    assert struct.unpack_from("<I", data, 40)[0] != len(data) - 44
    assert heard(data[44:], 8000) == "hello"


async def test_mp3_is_mp3(service) -> None:
    run = await service.sdk_speak("您好 hello", aformat="mp3")
    with av.open(io.BytesIO(run.audio), format="mp3") as file:
        pcm = b"".join(
            (np.clip(f.to_ndarray()[0], -1, 1) * 32767).astype("<i2").tobytes() for f in file.decode(audio=0)
        )
    assert heard(pcm) == "您好 hello"


async def test_rate_and_volume_are_heard(service) -> None:
    normal = await service.sdk_speak("请输入您的身份证号码")
    fast = await service.sdk_speak("请输入您的身份证号码", speech_rate=500, volume=100)
    assert len(fast.audio) < 0.6 * len(normal.audio)
    peaks = [np.abs(np.frombuffer(run.audio, "<i2").astype(int)).max() for run in (normal, fast)]
    assert peaks[1] > 1.6 * peaks[0]


PAYLOADS: list[tuple[str, dict[str, Any], int, str]] = [
    ("no text", {}, 40010003, "Gateway:DIRECTIVE_INVALID:No text specified!"),
    ("empty text", {"text": " "}, 40000000, "Gateway:CLIENT_ERROR:text is empty"),
    ("format in capitals", {"text": "x", "format": "PCM"}, 40010003, "Gateway:DIRECTIVE_INVALID:Invalid format 'PCM'!"),
    ("unknown format", {"text": "x", "format": "opus"}, 40010003, "Gateway:DIRECTIVE_INVALID:Invalid format 'opus'!"),
    ("unknown voice", {"text": "x", "voice": "bob"}, 40000003, "Gateway:PARAMETER_INVALID:Invalid voice name 'bob'!"),
    (
        "voice without privilege",
        {"text": "x", "voice": "zhinan"},
        40000001,
        "Gateway:ACCESS_DENIED:No privilege to this voice! (voice: zhinan, privilege: 0)",
    ),
    (
        "rate the voice has not",
        {"text": "x", "sample_rate": 24000},
        40000003,
        "Gateway:PARAMETER_INVALID:Invalid sample",
    ),
    ("volume out of range", {"text": "x", "volume": 101}, 40000003, "Gateway:PARAMETER_INVALID:Invalid volume '101'!"),
    ("speech rate out of range", {"text": "x", "speech_rate": -501}, 40000003, "Gateway:PARAMETER_INVALID:Invalid spe"),
    ("pitch that is no number", {"text": "x", "pitch_rate": "high"}, 40000003, "Gateway:PARAMETER_INVALID:Invalid pit"),
    ("broken SSML", {"text": "<speak>x"}, 41020001, "TTS:TtsClientError:[tts]Engine return error code: 413"),
    (
        "SSML with a document type",
        {"text": '<speak><!DOCTYPE a [<!ENTITY b "c">]>x</speak>'},
        41020001,
        "TTS:TtsClientError:[tts]Engine return error code: 413",
    ),
    ("unknown tag", {"text": "<speak><b>x</b></speak>"}, 41020001, "TTS:TtsClientError:Illegal ssml text"),
    (
        "emotion without such a voice",
        {"text": '<speak><emotion category="happy">x</emotion></speak>'},
        41020001,
        "TTS:TtsClientError:Illegal ssml text",
    ),
    (
        "SSML over 300 characters",
        {"text": f"<speak>{'x' * 301}</speak>"},
        41020001,
        "TTS:TtsClientError:SSML text length should be less than 300.",
    ),
    ("subtitles", {"text": "x", "enable_subtitle": True}, 40010002, "Localcloud:NOT_IMPLEMENTED:parameter enable_subt"),
    ("an unknown parameter", {"text": "x", "colour": "red"}, 40010002, "Localcloud:NOT_IMPLEMENTED:parameter colour"),
]


@pytest.mark.parametrize(("payload", "status", "text"), [p[1:] for p in PAYLOADS], ids=[p[0] for p in PAYLOADS])
async def test_bad_requests_are_refused_before_anything_is_spent(service, connect, payload, status, text) -> None:
    client = await connect()
    await client.say(SHORT, "StartSynthesis", payload)
    found = await client.refusal()
    assert found[0] == status
    assert found[1].startswith(text)
    assert service.counter("nls.synthesis") == 0


async def test_the_same_bad_requests_are_refused_over_rest(service) -> None:
    for name, payload, status, text in PAYLOADS:
        reply = await service.tts(**({"text": None} | payload))
        assert (reply.json["status"], reply.json["message"][: len(text)]) == (status, text), name
        assert reply.status == (501 if "NOT_IMPLEMENTED" in text else 400), name
    assert service.counter("nls.synthesis") == 0


SSML = [
    ("<speak>您好，世界</speak>", "您好，世界", 5),
    ("<speak>a &amp; b</speak>", "a & b", 5),
    ('<speak>卡号<say-as interpret-as="digits">6222</say-as>。</speak>', "卡号6222。", 7),
    ('<speak><sub alias="网络">NET</sub>故障</speak>', "网络故障", 5),
    ('<speak>请稍候<break time="1s"/>谢谢</speak>', "请稍候 谢谢", 5),
]


@pytest.mark.parametrize(("ssml", "spoken", "characters"), SSML)
async def test_ssml_is_spoken_without_its_tags(service, ssml: str, spoken: str, characters: int) -> None:
    run = await service.sdk_speak(ssml)
    assert heard(run.audio) == spoken
    assert service.counter("nls.synthesis.characters") == characters


async def test_a_break_lasts_as_long_as_it_says(service) -> None:
    plain = await service.sdk_speak("<speak>请稍候</speak>")
    paused = await service.sdk_speak('<speak>请稍候<break time="1500ms"/></speak>')
    assert len(paused.audio) - len(plain.audio) == 1.5 * 32000


async def test_attributes_of_speak_override_the_request(service) -> None:
    run = await service.sdk_speak('<speak sampleRate="8000" rate="500" voice="aixia">请稍候，谢谢</speak>')
    assert heard(run.audio, 8000) == "请稍候，谢谢"
    refused = await service.sdk_speak('<speak voice="bob">请稍候</speak>')
    assert refused.messages[-1]["header"]["status"] == 40000003


async def test_there_is_no_stop_directive(connect) -> None:
    client = await connect()
    await client.say(SHORT, "StartSynthesis", {"text": "字" * 300})
    await client.say(SHORT, "StopSynthesis")
    assert (await client.refusal())[0] == 40010002


async def test_a_second_start_while_speaking_is_refused(service, connect) -> None:
    service.faults.arm(operation="nls.tts.ws", action="never_complete")
    client = await connect()
    await client.say(SHORT, "StartSynthesis", {"text": "one"})
    assert (await client.event())["header"]["name"] == "SynthesisStarted"
    await client.say(SHORT, "StartSynthesis", {"text": "two"})
    assert (await client.refusal())[0] == 40000002
    assert service.gateway.quotas.busy("tts") == 0


@pytest.mark.parametrize(
    ("header", "status", "text"),
    [
        ({"message_id": ""}, 40000002, "Gateway:MESSAGE_INVALID:Invalid message id ''!"),
        ({"message_id": "z" * 32}, 40000002, "Gateway:MESSAGE_INVALID:Invalid message id"),
        ({"task_id": "123"}, 40000002, "Gateway:MESSAGE_INVALID:Invalid task id '123'!"),
        ({"appkey": ""}, 40000003, "Gateway:PARAMETER_INVALID:appkey not set"),
        ({"appkey": "unknown"}, 40020105, "Meta:APPKEY_NOT_EXIST:Appkey not exist!"),
        ({"namespace": "SpeechSinger"}, 40010001, "Gateway:NAMESPACE_NOT_FOUND"),
        ({"namespace": "FlowingSpeechSynthesizer"}, 40010002, "Localcloud:NOT_IMPLEMENTED"),
        ({"name": "RunSynthesis"}, 40010002, "Gateway:DIRECTIVE_UNSUPPORTED"),
    ],
)
async def test_bad_headers_are_refused(connect, header, status, text) -> None:
    client = await connect()
    await client.say(SHORT, "StartSynthesis", {"text": "x"}, **header)
    found = await client.refusal()
    assert found[0] == status
    assert found[1].startswith(text)


@pytest.mark.parametrize("message", ["not json", "[]", "{}", '{"header": 1}'])
async def test_what_is_no_message_is_refused(connect, message: str) -> None:
    client = await connect()
    await client.socket.send_str(message)
    assert await client.refusal() == (40000002, "Gateway:MESSAGE_INVALID:Missing message header!")


async def test_binary_before_any_task_is_out_of_order(connect) -> None:
    client = await connect()
    await client.socket.send_bytes(b"\0\0")
    assert (await client.refusal())[0] == 40010005


async def test_ten_idle_seconds_end_a_connection_with_the_last_directive_named(service, connect) -> None:
    client = await connect()
    service.clock.move(11)
    assert await client.refusal() == (
        40000004,
        "Gateway:IDLE_TIMEOUT:Websocket session is idle for too long time, the last directive is ''!",
    )
    again = await connect()
    await again.say(SHORT, "StartSynthesis", {"text": "x"})
    while True:
        item = await again.hear()
        if isinstance(item, dict) and item["header"]["name"] == "SynthesisCompleted":
            break
    service.clock.move(11)
    assert "'StartSynthesis'" in (await again.refusal())[1]


async def test_a_ping_keeps_a_connection_alive(service, connect) -> None:
    client = await connect()
    for _ in range(3):
        service.clock.move(6)
        await client.socket.ping()
        await client.say(SHORT, "StartSynthesis", {"text": "x"})
        while (item := await client.hear()) is not None:
            if isinstance(item, dict) and item["header"]["name"] == "SynthesisCompleted":
                break
        assert item is not None


async def test_the_place_in_the_quota_is_given_back(service) -> None:
    service.gateway.limits.concurrency["tts"] = 1
    for _ in range(3):
        assert "completed" in (await service.sdk_speak()).names
    assert service.counter("nls.peak") == 1
    assert service.counter("nls.refused") == 0


async def test_over_the_quota_is_too_many_requests_over_both_doors(service, connect) -> None:
    service.gateway.limits.concurrency["tts"] = 1
    service.faults.arm(operation="nls.tts.ws", action="never_complete")
    client = await connect()
    await client.say(SHORT, "StartSynthesis", {"text": "one"})
    await client.event()
    run = await service.sdk_speak()
    assert run.messages[0]["header"]["status"] == 40000005
    assert run.messages[0]["header"]["status_text"] == "Gateway:TOO_MANY_REQUESTS:Too many requests!"
    assert (await service.tts()).json["status"] == 40000005
    assert service.counter("nls.refused") == 2
    assert service.counter("nls.synthesis") == 1
    long = await service.sdk_speak(long=True)
    assert "completed" in long.names
    await client.socket.close()
    async with asyncio.timeout(5):
        while (await service.tts()).status != 200:
            pass
    assert service.counter("nls.disconnected") == 1
