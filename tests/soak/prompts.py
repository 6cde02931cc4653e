"""Prompts at random: three instances that fail, die and are replaced, a speech service that breaks in its own ways, and
objects that rot. Nothing wrong may ever be heard, and what rotted is repaired to the SHA-256 that was recorded.

The instances are the product's, in this process, on buckets in memory; the speech service is localcloud's, over HTTP
on loopback, with its `tone` engine, whose audio of a text can be computed beforehand.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from aiohttp import web

from functions.prompts import mastering, playing
from functions.prompts.rendition import RENDITIONS, derive
from isikit.errors import IsiError
from isikit.host.context import Deadline
from isikit.nls.rest import RestSpeaker
from isikit.nls.token import SpeechToken
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from localcloud.nls import make_app
from support import soak_command
from support.memory_store import StoredObject
from support.outward import Outward
from support.prompting import API_KEY, Instance, World, tenant_entry
from support.right_audio import is_audio_or_refusal

INSTANCES = 3
AT_ONCE = 8
FILES = ("pcm_s16le-8000.wav", "mulaw-8000.ulaw", "alaw-8000.alaw", "pcm_s16le-16000.wav", "mulaw-wav-8000.wav")
DEFECTS: tuple[dict[str, str], ...] = (
    {"action": "drop"},
    {"action": "drop", "when": "after"},
    {"action": "drop_after_bytes", "value": "1"},
    {"action": "drop_after_bytes", "value": "6896"},
    {"action": "drop_after_bytes", "value": "20000"},
    {"action": "task_failed_after_audio", "code": "51020001"},
    {"action": "complete_without_audio"},
    {"action": "error", "code": "40000005"},
    {"action": "error", "code": "40000001"},
    {"action": "error", "code": "51020001", "when": "after"},
    {"action": "error", "code": "50000000"},
)
ALLOWED = {200, 202, 410, 429, 502, 503}


@dataclass
class Report:
    """What happened. `wrong` is empty, or the soak has failed."""

    seed: int
    syntheses: int = 0
    requests: int = 0
    refused: int = 0
    faults: int = 0
    deaths: int = 0
    defects: int = 0
    damaged: int = 0
    repaired: int = 0
    wrong: list[str] = field(default_factory=list)


class Tokens:
    """Tokens of the local account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        return SpeechToken(*self._account.new_speech_token(1_000_000))


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[tuple[str, Faults, Account, str]]:
    """The speech service: its base URL, its faults, its account and an AppKey."""
    clock, faults = Clock(), Faults()
    account = Account(clock)
    appkey = account.add_project().appkey
    runner = web.AppRunner(make_app(account, ToneEngine(), faults, clock), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", faults, account, appkey
    finally:
        await runner.cleanup()


class Soak:
    """One run."""

    def __init__(self, seed: int, url: str, faults: Faults, account: Account, appkey: str) -> None:
        self.report = Report(seed)
        self._chance = random.Random(seed)
        self._faults = faults
        self._speaker = RestSpeaker(url, AT_ONCE)
        self._engine = ToneEngine()
        self._world = World(tokens_from=Tokens(account))
        entry = tenant_entry("acme", API_KEY, appkeys=[{"appkey": appkey, "locale": "zh-CN", "sample_rate_hz": 16000}])
        self._world.tenants([entry])
        self._outwards: list[Outward] = []
        self._instances: list[Instance] = []
        self._texts: list[str] = []
        self._right: dict[str, bytes] = {}  # masters by text
        self._spoken: dict[str, str] = {}  # text by URL's path without its file
        for _ in range(INSTANCES):
            self._add()

    async def run(self, count: int, told: Callable[[Report], None] = lambda _: None) -> Report:
        """Go on until the service has begun `count` syntheses."""
        ticking = asyncio.create_task(self._tick())
        while self.report.syntheses < count and not self.report.wrong:
            await self._round()
            self.report.syntheses = self._faults.counters().get("nls.synthesis", 0)
            told(self.report)
        ticking.cancel()
        await asyncio.wait({ticking})
        await self._speaker.close()
        return self.report

    async def _tick(self) -> None:
        """Twenty times as fast as time, so that the claims of the dead end soon."""
        while True:
            await asyncio.sleep(0.05)
            self._world.pass_time(1)

    def _add(self) -> None:
        outward = Outward()
        self._outwards.append(outward)
        self._instances.append(self._world.instance(outward, self._speaker))

    async def _round(self) -> None:
        self._arm()
        await asyncio.gather(*(self._request() for _ in range(AT_ONCE)))
        self._faults.disarm()
        self._replace_the_dead()
        with contextlib.suppress(IsiError):
            await self._world.later.carried_out(self._chance.choice(self._instances).prompts)
        if self._chance.random() < 0.15:
            await self._rot()
        self._replace_the_dead()
        chance = self._chance.random()
        self._world.pass_time(86_500 if chance < 0.01 else 20 if chance < 0.3 else self._chance.randrange(3))

    def _arm(self) -> None:
        for outward in self._outwards:
            outward.nth = 0
            if self._chance.random() < 0.3:
                outward.nth = len(outward.calls) + self._chance.randint(1, 40)
                outward.kind = "kill" if self._chance.random() < 0.4 else "fault"
                outward.when = self._chance.choice(("before", "after"))
        if self._chance.random() < 0.4:
            self.report.defects += 1
            nth = self._chance.randint(1, 4)
            self._faults.arm(operation="nls.tts.rest", nth=nth, **self._chance.choice(DEFECTS))

    def _replace_the_dead(self) -> None:
        for number, outward in enumerate(self._outwards):
            self.report.faults += outward.kind == "fault" and outward.struck
            outward.nth = 0
            if outward.died.is_set():
                self.report.deaths += 1
                outward.buried.set()
                self._outwards[number] = Outward()
                self._instances[number] = self._world.instance(self._outwards[number], self._speaker)

    async def _request(self) -> None:
        chance = self._chance
        if not self._texts or chance.random() < 0.8:
            self._texts.append(f"n {len(self._texts)} {chance.randrange(1000)}")
        text, file = chance.choice(self._texts[-50:]), RENDITIONS[chance.choice(FILES)]
        wish: dict[str, Any] = {
            "text": text,
            "encoding": file.encoding,
            "container": file.container,
            "sample_rate_hz": file.sample_rate_hz,
            "retention": chance.choice(("permanent", "permanent", "day")),
            "cache": chance.choice(("use",) * 18 + ("refresh", "bypass")),
            "wait_ms": chance.choice((1_500,) * 9 + (0,)),
        }
        if wish["cache"] == "bypass":
            wish["retention"] = "day"
        number = chance.randrange(INSTANCES)
        self.report.requests += 1
        answer = await self._alive(number, self._instances[number].post(wish))
        if answer is None:
            return
        if answer.status not in ALLOWED:
            self.report.wrong.append(f"POST {wish}: {answer.status} {answer.body!r}")
        if answer.status >= 400:
            self.report.refused += 1
            return
        path = "/" + answer.json()["url"].split("/", 3)[3]
        self._spoken[path.rpartition("/")[0]] = text
        await self._hear(path, chance.randrange(INSTANCES))

    async def _hear(self, path: str, number: int) -> int:
        """Play a URL; the status, or 0 where the instance died."""
        with mock.patch.object(playing, "WAIT_SECONDS", 0.3):
            answer = await self._alive(number, self._instances[number].get(path))
        if answer is None:
            return 0
        folder, _, name = path.rpartition("/")
        if not is_audio_or_refusal(answer) or answer.status not in (200, 404, *ALLOWED - {202}):
            self.report.wrong.append(f"GET {path}: {answer.status} {answer.headers} {answer.body[:200]!r}")
        if answer.status == 200 and answer.body != await self._rendition(self._spoken[folder], name):
            self.report.wrong.append(f"GET {path}: not what it says ({len(answer.body)} bytes)")
        return int(answer.status)

    async def _alive(self, number: int, work: Any) -> Any:
        """What an instance answers; None where it died meanwhile."""
        outward = self._outwards[number]
        if outward.died.is_set():
            work.close()
            return None
        task, death = asyncio.create_task(work), asyncio.create_task(outward.died.wait())
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if task.done():
            return task.result()
        outward.buried.set()
        task.cancel()
        await asyncio.wait({task})
        return None

    async def _rendition(self, text: str, name: str) -> bytes:
        if text not in self._right:
            pcm = await self._engine.speak(text, voice="xiaoyun", rate_hz=16000, volume=50, speech_rate=0, pitch_rate=0)
            self._right[text] = mastering.join([pcm], 16000)
        return derive(self._right[text], 16000, RENDITIONS[name]).body

    async def _rot(self) -> None:
        """Damage one object, listen to what the instances make of it, and see it repaired after a minute."""
        objects = self._world.bucket.objects
        # Of one whose maker died before it told the URL, nobody knows what it should say.
        keys = [key for key in objects if key.startswith("p/") and f"/{key.rpartition('/')[0]}" in self._spoken]
        if not keys:
            return
        key = self._chance.choice(keys)
        recorded = objects[key].metadata["sha256"]
        targets = [key] if self._chance.random() < 0.7 else [key, f"masters/{key.rpartition('/')[0]}.wav"]
        for target in targets:
            if target in objects:
                objects[target] = self._rotten(objects[target])
        self.report.damaged += 1
        for number in range(INSTANCES):
            await self._hear(f"/{key}", number)  # what they hold in memory, or a repair, but nothing wrong
        self._world.pass_time(61)
        for number in range(INSTANCES):
            status = await self._hear(f"/{key}", number)
            if status not in (200, 0) and not (status == 410 and len(targets) == 2):
                self.report.wrong.append(f"{key} was damaged, and a minute later it is {status}")
        now = hashlib.sha256(objects[key].data).hexdigest() if key in objects else "nothing"
        is_over = len(targets) == 2 and key not in objects  # retired: the next one has another URL
        if now != recorded and not is_over:
            self.report.wrong.append(f"{key} was damaged and is not repaired: {now}")
        self.report.repaired += 1

    def _rotten(self, stored: StoredObject) -> StoredObject:
        data = bytearray(stored.data)
        how = self._chance.randrange(4)
        if how == 0:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        elif how == 1:
            del data[self._chance.randrange(len(data)) :]
        elif how == 2:
            other = self._chance.choice(list(self._world.bucket.objects.values()))
            if other.data != stored.data:
                return dataclasses.replace(other)
            data.clear()
        else:
            data[:] = b"<html>Service Unavailable</html>"
        return dataclasses.replace(stored, data=bytes(data))


async def soak(seed: int, count: int, told: Callable[[Report], None] = lambda _: None) -> Report:
    """One soak of a seed."""
    async with service() as (url, faults, account, appkey):
        return await Soak(seed, url, faults, account, appkey).run(count, told)


def main(arguments: list[str]) -> int:
    """`scripts/soak prompts`."""
    return soak_command.run(arguments, "prompts", 10_000, "syntheses", soak, lambda report: report.syntheses)
