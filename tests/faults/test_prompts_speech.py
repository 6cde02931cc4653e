"""The speech service in all its ways of failing, over both transports: what is published says what was asked for.

The service is localcloud's on loopback, whose `tone` engine makes audio that can be heard back to its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from isikit.audio import wav
from isikit.host.context import Deadline
from isikit.nls.rest import RestSpeaker
from isikit.nls.sdk import SdkSpeaker
from isikit.nls.synthesis import Speaker
from isikit.nls.token import SpeechToken
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from localcloud.nls import make_app
from support.prompting import API_KEY, World, tenant_entry
from support.right_audio import is_audio_or_refusal

TEXT = "您好，欢迎致电客户服务中心。"
BOTH: list[dict[str, str]] = [
    {"action": "drop"},
    {"action": "drop", "when": "after"},
    {"action": "drop_after_bytes", "value": "0"},
    {"action": "drop_after_bytes", "value": "1"},
    {"action": "drop_after_bytes", "value": "20000"},
    {"action": "drop_after_bytes"},
    {"action": "task_failed_after_audio", "code": "51020001", "value": "20000"},
    {"action": "task_failed_after_audio", "code": "51020001"},
    {"action": "complete_without_audio"},
    {"action": "never_complete"},
    *({"action": "error", "code": code} for code in ("40000001", "40000004", "40000005", "50000000", "51020001")),
    {"action": "error", "code": "51020001", "when": "after"},
]
WEBSOCKET: list[dict[str, str]] = [
    {"action": "handshake_403"},
    {"action": "handshake_403", "value": "expired"},
    {"action": "drop_after_bytes", "value": "20000", "code": "close"},
    {"action": "duplicate_events"},
    {"action": "fragment_frames"},
]
CASES = [
    *(("rest", "permanent", defect) for defect in BOTH),
    *(("ws", "permanent", defect) for defect in BOTH + WEBSOCKET),
    *((wire, "day", defect) for wire in ("rest", "ws") for defect in BOTH[1:9:3]),
]


@dataclass
class Scene:
    """A world whose instances speak through a real service."""

    world: World
    faults: Faults
    engine: ToneEngine
    port: int
    account: Account

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        return SpeechToken(*self.account.new_speech_token(3600))

    def speaker(self, wire: str) -> Speaker:
        """A transport of its own."""
        if wire == "rest":
            return RestSpeaker(f"http://127.0.0.1:{self.port}", 4)
        return SdkSpeaker(f"ws://127.0.0.1:{self.port}/ws/v1", 4)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    faults, clock, engine = Faults(), Clock(), ToneEngine()
    account, world = Account(clock), World()
    appkeys = [{"appkey": account.add_project().appkey, "locale": "zh-CN", "sample_rate_hz": 16000}]
    world.tenants([tenant_entry("acme", API_KEY, appkeys=appkeys)])
    runner = web.AppRunner(make_app(account, engine, faults, clock), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one = world.tokens_from = Scene(world, faults, engine, runner.addresses[0][1], account)
    yield one
    await runner.cleanup()


@pytest.mark.parametrize(
    ("wire", "retention", "defect"), CASES, ids=[" ".join((*where, *defect.values())) for *where, defect in CASES]
)
async def test_a_defect_of_the_service_is_never_published(
    scene: Scene, wire: str, retention: str, defect: dict[str, str]
) -> None:
    scene.faults.arm(operation=f"nls.tts.{wire}", times=3, **defect)
    words = {"text": TEXT, "consumer": "freeswitch", "retention": retention}
    speaker = scene.speaker(wire)
    instance = scene.world.instance(speaker=speaker)
    first = await instance.post({**words, "wait_ms": 1500})
    assert first.status in (200, 202, 502, 503), first.body
    for key in [key for key in scene.world.bucket.objects if key.startswith(("p/", "e/"))]:
        played = await scene.world.instance().get(f"/{key}")
        assert is_audio_or_refusal(played)
        assert await scene.engine.recognise(wav.read(played.body).data, 8000) == TEXT
    scene.faults.disarm()
    scene.world.pass_time(31)  # what was left to end by itself, a claim or a circuit's pause, has ended
    again = await instance.post(words)
    assert (again.status, again.json()["status"]) == (200, "ready"), again.body
    heard = await scene.world.instance().get(again.json()["url"])
    assert await scene.engine.recognise(wav.read(heard.body).data, 8000) == TEXT
    await speaker.close()
    await asyncio.sleep(0)
