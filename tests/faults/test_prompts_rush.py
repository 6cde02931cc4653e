"""A rush over eight instances: one synthesis and one URL, whoever dies or freezes; and a quota that all share."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from functions.prompts import rush
from isikit.host.context import Deadline
from isikit.nls.rest import RestSpeaker
from isikit.nls.token import SpeechToken
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from localcloud.nls import make_app
from localcloud.nls.quotas import DEFAULT_CONCURRENCY, Limits
from support.outward import Outward
from support.prompting import API_KEY, Answer, FakeSpeaker, World, tenant_entry
from support.right_audio import digests

INSTANCES = 8
TEXT = "您好，欢迎致电。"
WORDS = {"text": TEXT, "retention": "permanent", "consumer": "freeswitch", "wait_ms": 20_000}


@asynccontextmanager
async def ticking(world: World, seconds_a_second: float = 20) -> AsyncIterator[None]:
    """The world's clock runs, faster than time."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.05)
            world.pass_time(0.05 * seconds_a_second)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def same_url(world: World, answers: list[Answer]) -> None:
    """All got one URL, and behind it lies right audio."""
    assert {answer.status for answer in answers} == {200}
    (url,) = {answer.json()["url"] for answer in answers}
    heard = await world.instance().get(url)
    assert hashlib.sha256(heard.body).hexdigest() in digests(world.speaker, (TEXT,), "pcm_s16le-8000.wav")


async def test_200_requests_over_eight_instances_cost_one_synthesis_and_get_one_url() -> None:
    world = World()
    instances = [world.instance() for _ in range(INSTANCES)]
    answers = await asyncio.gather(*(instances[number % INSTANCES].post(WORDS) for number in range(200)))
    await same_url(world, answers)
    assert len(world.speaker.said) == 1
    assert sum(answer.json()["billed"]["calls"] for answer in answers) == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_when_the_owner_dies_half_way_one_more_is_spoken_within_one_claim(when: Any) -> None:
    clean = Outward()
    await World().instance(clean).post(WORDS)
    world = World()
    outward = Outward(clean.calls.index("speech") + 1, "kill", when)
    owner = asyncio.create_task(world.instance(outward).post(WORDS))
    await outward.died.wait()
    died_at, others = world.clock.now(), [world.instance() for _ in range(INSTANCES - 1)]
    try:
        async with ticking(world, 5):
            answers = await asyncio.gather(*(others[number % len(others)].post(WORDS) for number in range(175)))
        assert world.clock.now() - died_at < rush.CLAIM_SECONDS + 12  # two seconds and a half of a busy machine's time
        await same_url(world, answers)
        assert len(world.speaker.said) == (1 if when == "before" else 2)
    finally:
        outward.buried.set()  # or the dead would wait for their burial, and the test for them
        owner.cancel()
        with suppress(asyncio.CancelledError):
            await owner


async def test_over_the_edge_of_a_claims_life_the_owner_keeps_it_while_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rush, "RENEW_SECONDS", 0.02)
    world = World()
    world.speaker.gate = asyncio.Event()
    instances = [world.instance() for _ in range(INSTANCES)]
    tasks = [asyncio.create_task(instances[number % INSTANCES].post(WORDS)) for number in range(200)]
    await world.speaker.began(1)
    for _ in range(60):  # renewed all the time, over three lives of a claim
        world.pass_time(3 * rush.CLAIM_SECONDS / 60)
        await asyncio.sleep(0.03)
    async with ticking(world):
        world.speaker.gate.set()
        answers = await asyncio.gather(*tasks)
    await same_url(world, answers)
    assert len(world.speaker.said) == 1


async def test_an_owner_that_froze_for_longer_than_its_claim_gets_the_url_of_the_one_that_took_over() -> None:
    world = World()
    frozen = FakeSpeaker(said=world.speaker.said, gate=asyncio.Event())  # takes are counted together
    owner = asyncio.create_task(world.instance(speaker=frozen).post(WORDS))
    await frozen.began(1)
    world.pass_time(rush.CLAIM_SECONDS + 1)
    others = [world.instance() for _ in range(INSTANCES - 1)]
    answers = await asyncio.gather(*(others[number % len(others)].post(WORDS) for number in range(175)))
    assert frozen.gate is not None
    frozen.gate.set()
    await same_url(world, [*answers, await owner])
    assert len(world.speaker.said) == 2


class Tokens:
    """Tokens of the local account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        return SpeechToken(*self._account.new_speech_token(3600))


class Unhurried(ToneEngine):
    """A service that needs a while to speak, so that calls are at work at the same time."""

    async def speak(self, text: str, **options: Any) -> bytes:
        await asyncio.sleep(0.25)
        return await super().speak(text, **options)


async def test_different_prompts_on_eight_instances_share_a_quota_of_20_and_no_client_sees_an_error() -> None:
    faults, account = Faults(), Account(Clock())
    limits = Limits(concurrency={**DEFAULT_CONCURRENCY, "tts": 20})
    runner = web.AppRunner(make_app(account, Unhurried(), faults, Clock(), limits=limits), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world = World(tokens_from=Tokens(account))
    appkeys = [{"appkey": account.add_project().appkey, "locale": "zh-CN", "sample_rate_hz": 16000}]
    world.tenants([tenant_entry("acme", API_KEY, appkeys=appkeys, rates={"prompts": "10000/second"})])
    speakers = [RestSpeaker(f"http://127.0.0.1:{runner.addresses[0][1]}", 8) for _ in range(INSTANCES)]
    instances = [world.instance(speaker=speaker) for speaker in speakers]
    try:
        async with ticking(world, 4):  # a synthesis takes a second by the instances' clock
            answers = await asyncio.gather(
                *(instances[n % INSTANCES].post({**WORDS, "text": f"n {n}."}) for n in range(240))
            )
    finally:
        for speaker in speakers:
            await speaker.close()
        await runner.cleanup()
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["url"] for answer in answers}) == 240
    counted = faults.counters()
    assert counted["nls.synthesis"] == 240
    assert counted.get("nls.refused", 0) <= 0.02 * counted["nls.tts.rest"], counted
    assert 14 <= counted["nls.peak.tts"] <= 20
