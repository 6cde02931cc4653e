"""Everything that can be made to go wrong, and what was really spent when it did."""

from __future__ import annotations

import asyncio
import http.client

import pytest

from localcloud.engines import modem

WS_TTS, REST_TTS, WS_ASR, REST_ASR = "nls.tts.ws", "nls.tts.rest", "nls.asr.ws", "nls.asr.rest"


@pytest.mark.parametrize(
    ("code", "http_status", "text"),
    [
        ("40000005", 400, "Gateway:TOO_MANY_REQUESTS:Too many requests!"),
        ("40000010", 400, "Gateway:FREE_TRIAL_EXPIRED:The free trial has expired!"),
        ("51020001", 500, "TTS:TtsServerError:[flow]Instance pool exhausted!"),
        ("50000000", 500, "Gateway:SERVER_ERROR:Server error!"),
        ("", 500, "Gateway:SERVER_ERROR:Server error!"),
    ],
)
async def test_any_status_can_be_answered_at_both_doors(service, code: str, http_status: int, text: str) -> None:
    for operation in (REST_TTS, REST_ASR, WS_TTS):
        service.faults.arm(operation=operation, code=code)
    tts, asr = await service.tts(), await service.asr(bytes(3200))
    for reply in (tts, asr):
        assert reply.status == http_status
        assert reply.json["message"] == text
    run = await service.sdk_speak()
    assert run.messages[0]["header"]["status"] == int(code or 50000000)
    assert service.counter("nls.synthesis") == service.counter("nls.recognition") == 0
    assert (await service.tts()).status == 200


async def test_a_status_may_also_be_given_as_a_number(service) -> None:
    service.faults.arm(operation=REST_TTS, status=40000005)
    assert (await service.tts()).json["status"] == 40000005


async def test_a_fault_can_be_aimed_at_a_voice_or_a_text(service) -> None:
    service.faults.arm(operation=REST_TTS, subject="aixia:", code="51020001", times=9)
    assert (await service.tts(voice="aixia")).status == 500
    assert (await service.tts(voice="siyue")).status == 200


async def test_the_nth_call_is_hit(service) -> None:
    service.faults.arm(operation=REST_TTS, nth=2, code="40000005")
    assert [(await service.tts()).status for _ in range(3)] == [200, 400, 200]


@pytest.mark.parametrize(("when", "spent"), [("before", 0), ("after", 1)])
async def test_a_dropped_rest_call_is_spent_only_after_it_took_effect(service, when: str, spent: int) -> None:
    service.faults.arm(operation=REST_TTS, action="drop", when=when)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        await service.tts()
    assert service.counter("nls.synthesis") == spent


@pytest.mark.parametrize(("when", "spent"), [("before", 0), ("after", 1)])
async def test_a_dropped_websocket_never_completes(service, when: str, spent: int) -> None:
    service.faults.arm(operation=WS_TTS, action="drop", when=when)
    run = await service.sdk_speak()
    assert set(run.names) == {"close"}
    assert service.counter("nls.synthesis") == spent


async def test_a_lost_answer_of_recognition_is_spent(service) -> None:
    service.faults.arm(operation=REST_ASR, action="error", when="after", code="50000000")
    reply = await service.asr(await service.said("hello"))
    assert reply.status == 500
    assert service.counter("nls.recognition") == 1


async def test_a_delay_holds_the_place_in_the_quota(service) -> None:
    service.faults.arm(operation=REST_TTS, action="delay", seconds=0.3, times=3)
    replies = await asyncio.gather(*(service.tts() for _ in range(3)))
    assert {reply.status for reply in replies} == {200}
    assert service.counter("nls.peak") == 3


@pytest.mark.parametrize("goodbye", ["", "close"])
async def test_audio_can_stop_after_some_bytes_over_websocket(service, goodbye: str) -> None:
    service.faults.arm(operation=WS_TTS, action="drop_after_bytes", value="10000", code=goodbye)
    run = await service.sdk_speak("请输入您的身份证号码")
    assert "completed" not in run.names
    assert len(run.audio) == 10000
    assert modem.decode(run.audio, 16000) == []
    assert service.counter("nls.synthesis") == 1


async def test_audio_can_stop_after_some_bytes_over_rest(service) -> None:
    service.faults.arm(operation=REST_TTS, action="drop_after_bytes", value="10000")
    reply = await service.tts("请输入您的身份证号码")
    assert reply.status == 200
    assert not reply.complete
    assert len(reply.body) == 10000


@pytest.mark.parametrize(("value", "audio"), [("0", False), ("7000", True), ("", True)])
async def test_a_task_can_fail_after_audio(service, value: str, audio: bool) -> None:
    service.faults.arm(operation=WS_TTS, action="task_failed_after_audio", value=value, code="51020001")
    run = await service.sdk_speak("请输入您的身份证号码")
    assert bool(run.audio) is audio
    assert run.messages[-1]["header"]["status"] == 51020001
    assert run.messages[-1]["header"]["namespace"] == "Default"
    assert "completed" not in run.names


async def test_failing_after_audio_breaks_a_rest_answer_off(service) -> None:
    service.faults.arm(operation=REST_TTS, action="task_failed_after_audio", value="7000", code="51020001")
    assert not (await service.tts("请输入您的身份证号码")).complete


async def test_a_completion_can_come_without_audio(service) -> None:
    service.faults.arm(operation=WS_TTS, action="complete_without_audio")
    service.faults.arm(operation=REST_TTS, action="complete_without_audio")
    run = await service.sdk_speak()
    assert "completed" in run.names
    assert run.audio == b""
    reply = await service.tts()
    assert (reply.status, reply.body) == (200, b"")


async def test_a_completion_can_fail_to_come(service, connect) -> None:
    service.faults.arm(operation=WS_TTS, action="never_complete")
    client = await connect()
    await client.say("SpeechSynthesizer", "StartSynthesis", {"text": "hello"})
    await client.event()
    audio = b""
    with pytest.raises(TimeoutError):
        while True:
            message = await client.socket.receive(timeout=0.5)
            audio += message.data
    assert modem.decode(audio, 16000)[0].text == "hello"


async def test_the_end_of_a_rest_answer_can_fail_to_come(service) -> None:
    service.faults.arm(operation=REST_TTS, action="never_complete")
    with pytest.raises(TimeoutError):
        await service.tts(timeout=0.5)
    async with asyncio.timeout(5):
        while service.gateway.quotas.busy("tts"):  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("action", ["drop_after_bytes", "drop", "error", "task_failed_after_audio"])
async def test_recognition_can_break(service, action: str) -> None:
    service.faults.arm(operation=WS_ASR, action=action, value="6400", code="51040101")
    run = await service.sdk_transcribe(await service.said("hello"))
    assert "completed" not in run.names
    assert ("error" in run.names) == (action in ("error", "task_failed_after_audio"))


async def test_recognition_can_complete_empty(service) -> None:
    service.faults.arm(operation=WS_ASR, action="complete_without_audio")
    run = await service.sdk_recognise(await service.said("hello"))
    assert run.messages[-1]["payload"]["result"] == ""


class BrokenEngine:
    async def speak(self, text: str, **options: object) -> bytes:
        raise RuntimeError("no voice today")

    async def recognise(self, pcm: bytes, rate_hz: int) -> str:
        raise RuntimeError("no ears today")

    async def close(self) -> None:
        return None


async def test_an_engine_that_fails_is_a_server_error_and_says_nothing_of_itself(service) -> None:
    service.gateway.engine = BrokenEngine()
    tts, asr = await service.tts(), await service.asr(bytes(3200))
    assert (tts.status, tts.json["status"]) == (500, 51020001)
    assert (asr.status, asr.json["status"]) == (500, 51040101)
    assert (await service.sdk_speak()).messages[0]["header"]["status"] == 51020001
    assert b"today" not in tts.body + asr.body
