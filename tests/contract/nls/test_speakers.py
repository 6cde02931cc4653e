"""One suite for both transports: whole audio or an error, and nothing left behind (the fixture looks)."""

from __future__ import annotations

import asyncio
import gc
import socket
import time

import pytest

from contract.nls.conftest import CHINESE, TEXT, Service, until
from isikit.errors import (
    DeadlineExceeded,
    IsiError,
    Overloaded,
    SpeechBusy,
    SpeechError,
    SpeechTextRefused,
    SpeechTokenRefused,
    SpeechUnavailable,
    Unspeakable,
)
from isikit.host.context import Deadline
from isikit.nls.rest import RestSpeaker
from isikit.nls.sdk import SdkSpeaker
from isikit.nls.synthesis import Speaker, expected_ms
from isikit.nls.token import SpeechToken


@pytest.mark.parametrize(
    "text", [TEXT, CHINESE, "<speak>Hello <break time='700ms'/> and <sub alias='doctor'>Dr</sub> Li.</speak>"]
)
@pytest.mark.parametrize("rate_hz", [8000, 16000])
async def test_a_text_is_spoken_whole(
    text: str, rate_hz: int, service: Service, speaker: Speaker, deadline: Deadline
) -> None:
    pcm = await speaker.speak(service.utterance(text, sample_rate_hz=rate_hz), service.token(), deadline)
    assert pcm.rate_hz == rate_hz
    assert 0.5 < pcm.duration_ms / expected_ms(text, 0, text.startswith("<")) < 1.5
    if not text.startswith("<"):
        assert await service.engine.recognise(pcm.samples, rate_hz) == text


async def test_parameters_reach_the_service(service: Service, speaker: Speaker, deadline: Deadline) -> None:
    slow = await speaker.speak(service.utterance(speech_rate=-500, volume=20), service.token(), deadline)
    quick = await speaker.speak(service.utterance(speech_rate=500, volume=100), service.token(), deadline)
    assert 3.5 < slow.duration_ms / quick.duration_ms < 4.5


async def test_many_at_once_keep_to_the_limit_and_do_not_mix(
    service: Service, transport: str, deadline: Deadline
) -> None:
    speaker = service.speaker(transport, concurrency=3)
    token = service.token()
    texts = [f"This is announcement number {number} of twelve." for number in range(12)]
    spoken = await asyncio.gather(*(speaker.speak(service.utterance(text), token, deadline) for text in texts))
    assert [await service.engine.recognise(pcm.samples, 16000) for pcm in spoken] == texts
    assert 1 <= service.count("nls.peak.tts") <= 3


async def test_an_unknown_token_is_refused(service: Service, speaker: Speaker, deadline: Deadline) -> None:
    with pytest.raises(SpeechTokenRefused) as caught:
        await speaker.speak(service.utterance(), SpeechToken("0" * 32, time.time() + 999), deadline)
    assert "0" * 32 not in f"{caught.value} {caught.value!r}"


async def test_an_expired_token_is_refused(service: Service, speaker: Speaker, deadline: Deadline) -> None:
    token = service.token(60)
    service.clock.move(61)
    with pytest.raises(SpeechTokenRefused):
        await speaker.speak(service.utterance(), token, deadline)


@pytest.mark.parametrize(
    ("changes", "code", "kind"),
    [
        ({"appkey": "nobodysappkey000"}, "nls.appkey_unknown", SpeechError),
        ({"voice": "nobody"}, "nls.voice_unknown", SpeechTextRefused),
        ({"voice": "zhinan"}, "nls.voice_forbidden", SpeechTextRefused),
        ({"text": "<speak><marquee>x</marquee></speak>", "is_ssml": True}, "nls.ssml_refused", SpeechTextRefused),
    ],
)
async def test_what_the_service_refuses_is_refused_with_its_reason(
    changes: dict[str, object],
    code: str,
    kind: type[IsiError],
    service: Service,
    speaker: Speaker,
    deadline: Deadline,
) -> None:
    with pytest.raises(kind) as caught:
        await speaker.speak(service.utterance(**changes), service.token(), deadline)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.retryable) == (code, False)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("40000004", SpeechUnavailable, "nls.idle_timeout"),
        ("40000005", SpeechBusy, "nls.too_many_requests"),
        ("40000010", SpeechError, "nls.trial_expired"),
        ("40020105", SpeechError, "nls.appkey_unknown"),
        ("51020001", SpeechUnavailable, "nls.engine_failed"),
        ("50000000", SpeechUnavailable, "nls.server_error"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_services_errors_are_ours(
    status: str,
    kind: type[IsiError],
    code: str,
    when: str,
    service: Service,
    speaker: Speaker,
    deadline: Deadline,
    transport: str,
) -> None:
    service.faults.arm(operation=f"nls.tts.{_wire(transport)}", action="error", code=status, when=when)
    with pytest.raises(kind) as caught:
        await speaker.speak(service.utterance(), service.token(), deadline)
    assert (caught.value.code, caught.value.upstream_code) == (code, status)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "drop"},
        {"action": "drop", "when": "after"},
        {"action": "drop_after_bytes", "value": "0"},
        {"action": "drop_after_bytes", "value": "1"},
        {"action": "drop_after_bytes", "value": "20000"},
        {"action": "drop_after_bytes", "value": "20000", "code": "close"},
        {"action": "drop_after_bytes", "value": "100000"},
        {"action": "drop_after_bytes"},
        {"action": "drop_after_bytes", "code": "close"},
        {"action": "task_failed_after_audio", "code": "51020001", "value": "0"},
        {"action": "task_failed_after_audio", "code": "51020001", "value": "20000"},
        {"action": "task_failed_after_audio", "code": "51020001"},
        {"action": "complete_without_audio"},
    ],
    ids=lambda fault: " ".join(fault.values()),
)
async def test_broken_audio_is_never_returned(
    fault: dict[str, str], service: Service, speaker: Speaker, deadline: Deadline, transport: str
) -> None:
    service.faults.arm(operation=f"nls.tts.{_wire(transport)}", **fault)
    with pytest.raises(SpeechError) as caught:
        await speaker.speak(service.utterance(), service.token(), deadline)
    assert caught.value.retryable
    pcm = await speaker.speak(service.utterance(), service.token(), deadline)
    assert await service.engine.recognise(pcm.samples, 16000) == TEXT


async def test_a_completed_answer_with_half_the_audio_is_truncated(
    service: Service, speaker: Speaker, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = service.engine.speak

    async def half(text: str, **options: object) -> bytes:
        pcm = await whole(text, **options)  # type: ignore[arg-type]
        return pcm[: len(pcm) // 4 * 2]

    monkeypatch.setattr(service.engine, "speak", half)
    for text in (CHINESE, "您的余额是一百二十三元四角五分。"):
        with pytest.raises(SpeechError) as caught:
            await speaker.speak(service.utterance(text), service.token(), deadline)
        assert caught.value.code == "nls.truncated"


@pytest.mark.parametrize("fault", [{"action": "never_complete"}, {"action": "delay", "seconds": 5.0}])
async def test_what_never_ends_ends_with_the_deadline(
    fault: dict[str, object], service: Service, speaker: Speaker, transport: str
) -> None:
    service.faults.arm(operation=f"nls.tts.{_wire(transport)}", **fault)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await speaker.speak(service.utterance(), service.token(), Deadline.after(0.7))
    assert time.monotonic() - began < 2


async def test_a_caller_who_goes_leaves_nothing(service: Service, speaker: Speaker, transport: str) -> None:
    service.faults.arm(operation=f"nls.tts.{_wire(transport)}", action="never_complete")
    task = asyncio.create_task(speaker.speak(service.utterance(), service.token(), Deadline.after(2)))
    await until(lambda: service.count("nls.synthesis") == 1, "it never began")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_callers_who_go_give_their_places_back(service: Service, transport: str) -> None:
    speaker = service.speaker(transport, concurrency=1)
    for action in ("never_complete", "delay"):
        begun = service.count(f"nls.tts.{_wire(transport)}")
        service.faults.arm(operation=f"nls.tts.{_wire(transport)}", action=action, seconds=30)
        task = asyncio.create_task(speaker.speak(service.utterance(), service.token(), Deadline.after(60)))
        await until(lambda begun=begun: service.count(f"nls.tts.{_wire(transport)}") > begun, "it never began")  # type: ignore[misc]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await speaker.speak(service.utterance(), service.token(), Deadline.after(3))


async def test_no_place_in_time_is_overloaded_and_costs_nothing(service: Service, transport: str) -> None:
    speaker = service.speaker(transport, concurrency=1)
    service.faults.arm(operation=f"nls.tts.{_wire(transport)}", action="delay", seconds=1.5)
    first = asyncio.create_task(speaker.speak(service.utterance(), service.token(), Deadline.after(10)))
    await until(lambda: service.count(f"nls.tts.{_wire(transport)}") == 1, "it never began")
    with pytest.raises(Overloaded):
        await speaker.speak(service.utterance(), service.token(), Deadline.after(0.3))
    await first
    assert service.count("nls.synthesis") == 1


async def test_a_deadline_that_has_passed_costs_nothing(service: Service, speaker: Speaker) -> None:
    with pytest.raises(DeadlineExceeded):
        await speaker.speak(service.utterance(), service.token(), Deadline.after(-1))
    assert service.count("nls.synthesis") == 0


async def test_more_than_300_characters_are_refused_before_they_are_cut_off(
    service: Service, speaker: Speaker, deadline: Deadline
) -> None:
    with pytest.raises(Unspeakable):
        await speaker.speak(service.utterance("好" * 301), service.token(), deadline)
    assert service.count("nls.synthesis") == 0


async def test_nobody_there_is_unreachable_over_rest(service: Service) -> None:
    await _unreachable(service, RestSpeaker(f"http://127.0.0.1:{_unused_port()}", 1))


# The SDK leaves a refused socket to the garbage collector, which complains.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_nobody_there_is_unreachable_over_the_sdk(service: Service) -> None:
    await _unreachable(service, SdkSpeaker(f"ws://127.0.0.1:{_unused_port()}/ws/v1", 1))
    gc.collect()


async def _unreachable(service: Service, speaker: Speaker) -> None:
    with pytest.raises(SpeechUnavailable) as caught:
        await speaker.speak(service.utterance(), service.token(), Deadline.after(5))
    assert (caught.value.code, caught.value.retryable) == ("nls.unreachable", True)
    await speaker.close()


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wire(transport: str) -> str:
    return "rest" if transport == "rest" else "ws"
