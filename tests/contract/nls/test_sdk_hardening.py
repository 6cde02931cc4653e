"""What only the official SDK can do wrong: send a text nobody waits for, keep threads, tell the world."""

from __future__ import annotations

import asyncio
import logging
import socket
import time

import pytest

from contract.nls.conftest import TEXT, Service, sdk_threads, until
from isikit.errors import DeadlineExceeded, SpeechTokenRefused, SpeechUnavailable
from isikit.host.context import Deadline
from isikit.nls import sdk, sdk_task
from isikit.nls.sdk import SdkSpeaker


@pytest.fixture
def speaker(service: Service) -> SdkSpeaker:
    made = service.speaker("sdk")
    assert isinstance(made, SdkSpeaker)
    return made


async def test_a_refused_handshake_asks_for_a_new_token(service: Service, speaker: SdkSpeaker) -> None:
    service.faults.arm(operation="nls.tts.ws", action="handshake_403")
    with pytest.raises(SpeechTokenRefused) as caught:
        await speaker.speak(service.utterance(), service.token(), Deadline.after(10))
    assert caught.value.code == "nls.closed_unexplained"


async def test_a_slow_handshake_ends_with_the_deadline_and_the_text_is_never_sent(
    service: Service, speaker: SdkSpeaker
) -> None:
    service.faults.arm(operation="nls.tts.ws", action="handshake_delay", seconds=1.0)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await speaker.speak(service.utterance(), service.token(), Deadline.after(0.4))
    assert time.monotonic() - began < 0.9
    await until(lambda: not sdk_threads(), "the SDK's thread is left")
    await speaker.speak(service.utterance("Hello again, this is the second call."), service.token(), Deadline.after(10))
    assert service.count("nls.synthesis") == 1


async def test_a_server_that_never_shakes_hands_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk_task.sdk().websocket.setdefaulttimeout(0.3)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:  # connects, by its backlog, and never says a word
            speaker = SdkSpeaker(f"ws://127.0.0.1:{server.getsockname()[1]}/ws/v1", 1)
            began = time.monotonic()
            with pytest.raises((SpeechTokenRefused, SpeechUnavailable)):
                await speaker.speak(service.utterance(), service.token(), Deadline.after(20))
            assert time.monotonic() - began < 5
            await speaker.close()
    finally:
        sdk_task.sdk().websocket.setdefaulttimeout(sdk_task.SOCKET_SECONDS)


async def test_the_sdk_says_nothing(
    service: Service,
    speaker: SdkSpeaker,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    token = service.token()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("nls").setLevel(logging.DEBUG)
        await speaker.speak(service.utterance(), token, Deadline.after(10))
        service.faults.arm(operation="nls.tts.ws", action="error", code="50000000")
        with pytest.raises(SpeechUnavailable):
            await speaker.speak(service.utterance(), token, Deadline.after(10))
    logging.getLogger("nls").setLevel(logging.NOTSET)
    said = caplog.text + "".join(capfd.readouterr())
    for secret in (token.id, TEXT, service.project.appkey, "SynthesisStarted"):
        assert secret not in said


async def test_the_private_names_that_ending_needs_are_still_there(service: Service, speaker: SdkSpeaker) -> None:
    task = sdk._Task(
        service.websocket_url, service.utterance(), service.token(), Deadline.after(10), asyncio.get_running_loop()
    )
    await asyncio.to_thread(task.run)
    core = task._core()
    assert core._NlsCore__th.name.startswith("Thread-")
    assert core._NlsCore__ws.keep_running is False
    assert task._socket.fileno() == -1
