"""Recognition over REST: text, silence, and errors."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from contract.nls.conftest import CHINESE, Service
from isikit.config import Settings
from isikit.errors import (
    DeadlineExceeded,
    IsiError,
    SpeechAudioRefused,
    SpeechBusy,
    SpeechError,
    SpeechTokenRefused,
    SpeechUnavailable,
)
from isikit.host.context import Deadline
from isikit.nls.recognition import Recogniser
from isikit.nls.token import SpeechToken


@pytest.fixture
def recogniser(service: Service) -> Recogniser:
    made = Recogniser(cast(Settings, SimpleNamespace(nls_rest=service.rest_url, nls_concurrency=2)))
    service.speakers.append(made)  # type: ignore[arg-type]
    return made


async def spoken(service: Service, text: str, rate_hz: int) -> bytes:
    return await service.engine.speak(text, voice="xiaoyun", rate_hz=rate_hz, volume=50, speech_rate=0, pitch_rate=0)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
async def test_speech_becomes_text(rate_hz: int, service: Service, recogniser: Recogniser) -> None:
    project = service.account.add_project("zh-CN", rate_hz)
    pcm = await spoken(service, CHINESE, rate_hz)
    text = await recogniser.recognise(pcm, rate_hz, project.appkey, service.token(), Deadline.after(10))
    assert text == CHINESE


async def test_silence_is_an_empty_text(service: Service, recogniser: Recogniser) -> None:
    text = await recogniser.recognise(bytes(64000), 16000, service.project.appkey, service.token(), Deadline.after(10))
    assert text == ""


async def test_more_than_a_minute_is_refused_before_it_is_sent(service: Service, recogniser: Recogniser) -> None:
    with pytest.raises(SpeechAudioRefused) as caught:
        await recogniser.recognise(
            bytes(32000 * 60 + 2), 16000, service.project.appkey, service.token(), Deadline.after(10)
        )
    assert caught.value.code == "nls.audio_too_long"
    assert service.count("nls.asr.rest") == 0


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"action": "error", "code": "40000005"}, SpeechBusy, "nls.too_many_requests"),
        ({"action": "error", "code": "50000000"}, SpeechUnavailable, "nls.server_error"),
        ({"action": "error", "code": "41010105"}, SpeechAudioRefused, "nls.no_speech"),
        ({"action": "drop"}, SpeechUnavailable, "nls.connection_lost"),
        ({"action": "drop", "when": "after"}, SpeechUnavailable, "nls.connection_lost"),
        ({"action": "never_complete"}, DeadlineExceeded, "deadline.exceeded"),
    ],
)
async def test_errors_are_ours(
    fault: dict[str, str], kind: type[IsiError], code: str, service: Service, recogniser: Recogniser
) -> None:
    service.faults.arm(operation="nls.asr.rest", **fault)
    pcm = await spoken(service, CHINESE, 16000)
    with pytest.raises(kind) as caught:
        await recogniser.recognise(pcm, 16000, service.project.appkey, service.token(), Deadline.after(1))
    assert caught.value.code == code


async def test_bad_tokens_and_appkeys_are_told_apart(service: Service, recogniser: Recogniser) -> None:
    pcm = await spoken(service, CHINESE, 16000)
    bad = SpeechToken("0" * 32, time.time() + 999)
    with pytest.raises(SpeechTokenRefused):
        await recogniser.recognise(pcm, 16000, service.project.appkey, bad, Deadline.after(10))
    with pytest.raises(SpeechError) as caught:
        await recogniser.recognise(pcm, 16000, "nobodysappkey000", service.token(), Deadline.after(10))
    assert caught.value.code == "nls.appkey_unknown"
