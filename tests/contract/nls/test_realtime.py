"""Recognition over the official SDK: conversations, stretches, and failures that the SDK keeps to itself."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator

import pytest

from contract.nls.conftest import CHINESE, Service, sdk_threads
from isikit.errors import DeadlineExceeded, IsiError, SpeechAudioRefused, SpeechError, SpeechTokenRefused
from isikit.host.context import Deadline
from isikit.nls.realtime import SdkListener
from isikit.nls.token import SpeechToken
from support import recordings

TWO = ("Good morning.", "How are you?")


@pytest.fixture
async def listener(service: Service) -> AsyncIterator[SdkListener]:
    made = SdkListener(service.websocket_url, 4, pace=20)
    yield made
    await made.close()


async def test_a_conversation_becomes_its_sentences_in_time(service: Service, listener: SdkListener) -> None:
    pcm = recordings.speech(*TWO)
    said = await listener.transcribe(pcm, 16000, service.project.appkey, service.token(), Deadline.after(20))
    assert tuple(sentence.text for sentence in said) == TWO
    assert said[0].end_ms <= said[1].start_ms < said[1].end_ms <= len(pcm) // 32
    assert sdk_threads() == []


async def test_a_stretch_becomes_its_text(service: Service, listener: SdkListener) -> None:
    pcm = recordings.speech(CHINESE)
    text = await listener.recognise(pcm, 16000, service.project.appkey, service.token(), Deadline.after(20))
    assert text == CHINESE


async def test_silence_is_nothing_said(service: Service, listener: SdkListener) -> None:
    appkey = service.project.appkey
    assert await listener.recognise(bytes(64_000), 16000, appkey, service.token(), Deadline.after(20)) == ""
    assert await listener.transcribe(bytes(64_000), 16000, appkey, service.token(), Deadline.after(20)) == ()


async def test_audio_is_sent_at_the_pace_it_was_spoken(service: Service) -> None:
    listener = SdkListener(service.websocket_url, 1)
    began = time.monotonic()
    await listener.transcribe(bytes(32_000), 16000, service.project.appkey, service.token(), Deadline.after(20))
    assert time.monotonic() - began >= 0.85
    await listener.close()


async def test_more_than_a_minute_is_no_stretch(service: Service, listener: SdkListener) -> None:
    with pytest.raises(SpeechAudioRefused):
        await listener.recognise(bytes(32_000 * 61), 16000, service.project.appkey, service.token(), Deadline.after(20))


async def test_a_refused_token_is_told(service: Service, listener: SdkListener) -> None:
    bad = SpeechToken("0" * 32, time.time() + 999)
    with pytest.raises(SpeechTokenRefused):
        await listener.transcribe(bytes(32_000), 16000, service.project.appkey, bad, Deadline.after(20))
    assert sdk_threads() == []


@pytest.mark.parametrize(
    ("appkey", "rate_hz", "code"), [("nobodysappkey000", 16000, "nls.appkey_unknown"), ("", 8000, "nls.sample_rate")]
)
async def test_what_the_service_refuses_is_told(
    appkey: str, rate_hz: int, code: str, service: Service, listener: SdkListener
) -> None:
    with pytest.raises(SpeechError) as caught:
        await listener.transcribe(
            bytes(32_000), rate_hz, appkey or service.project.appkey, service.token(), Deadline.after(20)
        )
    assert caught.value.code == code


async def test_a_service_that_never_completes_ends_with_the_deadline(service: Service, listener: SdkListener) -> None:
    service.faults.arm(operation="nls.asr.ws", action="never_complete")
    began = time.monotonic()
    with pytest.raises((DeadlineExceeded, SpeechError)):
        await listener.transcribe(bytes(32_000), 16000, service.project.appkey, service.token(), Deadline.after(1))
    assert time.monotonic() - began < 5


async def test_where_nobody_listens_is_told(service: Service) -> None:
    listener = SdkListener("ws://127.0.0.1:1/ws/v1", 1)
    with pytest.raises(IsiError) as caught:
        await listener.transcribe(bytes(3200), 16000, service.project.appkey, service.token(), Deadline.after(10))
    assert caught.value.code == "nls.unreachable"
    await listener.close()
    del caught
    gc.collect()  # the SDK leaves the socket of a connection that it could not make to the garbage collector
