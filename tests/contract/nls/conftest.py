"""The local speech service on loopback, and both transports in front of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from isikit.host.context import Deadline
from isikit.nls.rest import RestSpeaker
from isikit.nls.sdk import SdkSpeaker
from isikit.nls.synthesis import Speaker, Utterance
from isikit.nls.token import SpeechToken
from localcloud.account import Account, SpeechProject
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from localcloud.nls import make_app
from localcloud.nls.quotas import Limits

TEXT = "Your appointment is on Monday at half past three. Please call us if you cannot come."
CHINESE = "您好，欢迎致电客户服务中心，您的验证码是四八二九一三，请不要告诉任何人。"


@dataclass
class Service:
    """One speech service and what tests need to know of it."""

    account: Account
    faults: Faults
    clock: Clock
    project: SpeechProject
    engine: ToneEngine
    limits: Limits
    port: int = 0
    speakers: list[Speaker] = field(default_factory=list)

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/v1"

    def token(self, life_seconds: float = 3600) -> SpeechToken:
        return SpeechToken(*self.account.new_speech_token(life_seconds))

    def utterance(self, text: str = TEXT, **changes: object) -> Utterance:
        values: dict[str, object] = {
            "text": text,
            "is_ssml": text.startswith("<speak"),
            "voice": "xiaoyun",
            "sample_rate_hz": 16000,
            "volume": 50,
            "speech_rate": 0,
            "pitch_rate": 0,
            "appkey": self.project.appkey,
        }
        return Utterance(**{**values, **changes})  # type: ignore[arg-type]

    def count(self, name: str) -> int:
        return self.faults.counters().get(name, 0)

    def speaker(self, transport: str, concurrency: int = 4) -> Speaker:
        made: Speaker = (
            RestSpeaker(self.rest_url, concurrency)
            if transport == "rest"
            else SdkSpeaker(self.websocket_url, concurrency)
        )
        self.speakers.append(made)
        return made


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[int]:
    """An application on a free port of loopback."""
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A fresh speech service; at the end nothing of the transports may be left, neither threads nor sockets."""
    clock, faults, limits = Clock(), Faults(), Limits()
    account = Account(clock)
    one = Service(account, faults, clock, account.add_project(), ToneEngine(), limits)
    before = left_behind()
    async with served(make_app(account, one.engine, faults, clock, limits=limits)) as port:
        one.port = port
        yield one
        for speaker in one.speakers:
            await speaker.close()
        await until(lambda: not sdk_threads(), "threads of the SDK are left")
    await until(lambda: left_behind() <= before, "sockets are left")


@pytest.fixture(params=["rest", "sdk"])
def transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both transports, one suite."""
    yield request.param


@pytest.fixture
def speaker(service: Service, transport: str) -> Speaker:
    return service.speaker(transport)


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(20)


def sdk_threads() -> list[str]:
    """Threads in which the SDK runs a connection."""
    return [thread.name for thread in threading.enumerate() if "__run" in thread.name or "run_forever" in thread.name]


def left_behind() -> int:
    """Open sockets of this process."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


async def until(condition: Callable[[], bool], complaint: str, seconds: float = 15) -> None:
    """Wait for a condition; fail with the complaint."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, complaint
        await asyncio.sleep(0.01)
