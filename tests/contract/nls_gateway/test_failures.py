"""Every failure that a client of the speech service must survive, armed one by one; and when exactly faults strike."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from localcloud.engines import modem
from localcloud.faults import Faults

WS, REST = "nls.tts.ws", "nls.tts.rest"
TEXT = "请输入您的身份证号码"

# Name of the failure, the fault, what the client hears (event names, `audio`, `403`, `cut`, `close`, `silence`), and
# whether the synthesis took effect (is billed).
FAILURES: list[tuple[str, dict[str, Any], list[str], int]] = [
    ("403 for an invalid token", {"action": "handshake_403"}, ["403"], 0),
    ("403 for an expired token", {"action": "handshake_403", "value": "expired"}, ["403"], 0),
    ("a slow handshake", {"action": "handshake_delay", "seconds": 0.2}, ["Started", "audio", "Completed"], 1),
    ("dropped before it began", {"action": "drop"}, ["cut"], 0),
    ("dropped after some bytes", {"action": "drop_after_bytes", "value": "7000"}, ["Started", "audio", "cut"], 1),
    (
        "closed after some bytes",
        {"action": "drop_after_bytes", "value": "7000", "code": "close"},
        ["Started", "audio", "close"],
        1,
    ),
    ("failed before audio", {"action": "error", "code": "40000005"}, ["TaskFailed 40000005", "close"], 0),
    (
        "failed after audio",
        {"action": "task_failed_after_audio", "value": "7000", "code": "51020001"},
        ["Started", "audio", "TaskFailed 51020001", "close"],
        1,
    ),
    (
        "failed instead of completed",
        {"action": "task_failed_after_audio", "code": "50000000"},
        ["Started", "audio", "TaskFailed 50000000", "close"],
        1,
    ),
    ("never completed", {"action": "never_complete"}, ["Started", "audio", "silence"], 1),
    ("completed without audio", {"action": "complete_without_audio"}, ["Started", "Completed"], 1),
    ("overloaded", {"action": "error", "code": "40000004"}, ["TaskFailed 40000004", "close"], 0),
    ("out of instances", {"action": "error", "code": "51020001"}, ["TaskFailed 51020001", "close"], 0),
    ("a server error", {"action": "error", "code": "50000000"}, ["TaskFailed 50000000", "close"], 0),
    ("events twice", {"action": "duplicate_events"}, ["Started", "Started", "audio", "Completed", "Completed"], 1),
    ("frames in fragments", {"action": "fragment_frames"}, ["Started", "audio", "Completed"], 1),
]


async def heard(service) -> list[str]:
    """What a client hears of one synthesis, until it is over or nothing comes for a while."""
    found: list[str] = []
    start = {
        "header": {
            "message_id": "a" * 32,
            "task_id": "b" * 32,
            "namespace": "SpeechSynthesizer",
            "name": "StartSynthesis",
            "appkey": service.appkey,
        },
        "payload": {"text": TEXT},
    }
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(f"{service.websocket}?token={service.token}")
        except aiohttp.WSServerHandshakeError as error:
            return [f"{error.status}"]
        await socket.send_json(start)
        while True:
            try:
                message = await socket.receive(timeout=0.3)
            except TimeoutError:
                return [*found, *(["silence"] if "Completed" not in found else [])]
            if message.type is aiohttp.WSMsgType.BINARY:
                found += ["audio"] if found[-1:] != ["audio"] else []
            elif message.type is aiohttp.WSMsgType.TEXT:
                header = message.json()["header"]
                name = header["name"].removeprefix("Synthesis")
                found.append(f"{name} {header['status']}" if name == "TaskFailed" else name)
            else:
                clean = message.type is aiohttp.WSMsgType.CLOSE and message.data == 1000
                return [*found, "close" if clean else "cut"]


@pytest.mark.parametrize(
    ("fault", "expected", "spent"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
async def test_every_failure_can_be_armed(service, fault: dict[str, Any], expected: list[str], spent: int) -> None:
    service.faults.arm(operation=WS, **fault)
    assert await heard(service) == expected
    assert service.counter("nls.synthesis") == spent


@pytest.mark.parametrize("value", ["", "expired"])
async def test_a_refused_handshake_says_why_in_plain_text(service, value: str) -> None:
    service.faults.arm(operation=WS, action="handshake_403", value=value)
    reply = await service.http("GET", f"/ws/v1?token={service.token}")
    assert reply.status == 403
    assert reply.body.decode().endswith("has expired!" if value else "is invalid!")


async def test_a_token_can_expire_between_two_connections(service) -> None:
    service.token, _ = service.account.new_speech_token(60)
    assert (await service.sdk_speak()).audio
    service.clock.move(61)
    assert set((await service.sdk_speak()).names) == {"close"}


@pytest.mark.parametrize("status", [200, 400])
async def test_a_rest_failure_can_come_with_either_http_status(service, status: int) -> None:
    text = "Meta:ACCESS_DENIED:The token 'x' is invalid!"
    service.faults.arm(operation=REST, code="40000001", status=status, value=text)
    reply = await service.tts()
    assert reply.status == status
    assert reply.headers["Content-Type"].startswith("application/json")
    assert (reply.json["status"], reply.json["message"]) == (40000001, text)


async def test_the_sdk_puts_fragments_together(service) -> None:
    service.faults.arm(operation=WS, action="fragment_frames")
    run = await service.sdk_speak(TEXT)
    assert "completed" in run.names
    assert [found.text for found in modem.decode(run.audio, 16000)] == [TEXT]


async def test_a_delayed_handshake_outlasts_the_sdk_when_it_is_told_to(service) -> None:
    service.faults.arm(operation=WS, action="handshake_delay", seconds=11.0)
    started = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(heard(service), 0.3)
    assert asyncio.get_running_loop().time() - started < 5
    service.faults.disarm()


async def test_the_nth_call_is_struck_before_or_after_its_effect(service) -> None:
    service.faults.arm(operation=REST, nth=2, when="before", code="50000000")
    service.faults.arm(operation=REST, nth=3, when="after", code="50000001")
    statuses = [(await service.tts()).status for _ in range(4)]
    # The second fault counts what the first let through: it sees calls 1, 3 and 4.
    assert statuses == [200, 500, 200, 500]
    assert service.counter(REST) == 4
    assert service.counter("nls.synthesis") == 3


async def struck(service, seed: int, calls: int = 30) -> list[bool]:
    service.faults.disarm()
    service.faults.arm(operation=REST, rate=0.5, seed=seed, code="40000005")
    return [(await service.tts("x")).status == 400 for _ in range(calls)]


async def test_faults_by_rate_strike_the_same_calls_for_the_same_seed(service) -> None:
    first = await struck(service, 7)
    assert first == await struck(service, 7)
    assert first != await struck(service, 8)
    assert 5 <= sum(first) <= 25


def test_a_fault_of_another_moment_is_neither_seen_nor_struck() -> None:
    faults = Faults()
    fault = faults.arm(operation="a", action="handshake_403")
    assert faults.begin("a", "x", only=lambda one: one.action != "handshake_403") is None
    assert fault.seen == 0
    assert faults.begin("a", None, only=lambda one: one is fault, counted=False) is fault
    assert faults.counters() == {"a": 1}


def test_an_unknown_subject_fits_every_fault() -> None:
    faults = Faults()
    faults.arm(operation="a", subject="voice")
    assert faults.begin("a", "text") is None
    assert faults.begin("a", None) is not None
