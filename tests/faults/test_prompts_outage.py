"""The speech service down for ten minutes, sockets that hang, instances that freeze, a slow OSS: hits never notice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from functions.prompts.cache import _PATIENCE_SECONDS
from isikit.errors import SpeechUnavailable
from isikit.nls.rest import RestSpeaker
from support.prompting import API_KEY, FakeSpeaker, Instance, World, tenant_entry

WORDS = {"text": "您好，欢迎致电。", "retention": "permanent", "consumer": "freeswitch"}
NORMAL_A_MINUTE = 60
NEUTRAL = "请稍后再拨。"


def down() -> SpeechUnavailable:
    error = SpeechUnavailable("no connection", code="nls.unreachable")
    error.retry_after = None
    return error


async def minute(world: World, instance: Instance, said: list[int], *, name: str, hit: str) -> list[dict[str, Any]]:
    """A minute of normal load: one new prompt a second, and a player's GET of one that is there."""
    answers = []
    before = len(world.speaker.said)
    for second in range(NORMAL_A_MINUTE):
        answer = await instance.post({**WORDS, "text": f"{name} {second}.", "wait_ms": 2000})
        answers.append({"http": answer.status, **answer.json()})
        heard = await instance.get(hit)
        assert heard.status == 200
        world.pass_time(1)
    said.append(len(world.speaker.said) - before)
    return answers


async def test_ten_minutes_without_the_speech_service() -> None:
    world = World(wall=World().clock)
    instance = world.instance()
    hit = (await instance.post(WORDS)).json()["url"]
    said: list[int] = []
    for number in range(2):
        answers = await minute(world, instance, said, name=f"before {number}", hit=hit)
        assert {answer["http"] for answer in answers} == {200}
    world.speaker.error = down
    for number in range(10):
        begun_at = time.monotonic()
        answers = await minute(world, instance, said, name=f"down {number}", hit=hit)
        assert {answer["http"] for answer in answers} == {503}
        assert {answer["code"] for answer in answers} <= {"nls.unreachable", "nls.paused", "nls.connection_lost"}
        assert time.monotonic() - begun_at < 30  # each within its deadline; most at once
    assert max(said[3:12]) <= NORMAL_A_MINUTE / 4, said  # it is left alone, but for probes
    world.speaker.error = None
    world.pass_time(31)
    answers = await minute(world, instance, said, name="after", hit=hit)
    assert said[-1] <= 2 * NORMAL_A_MINUTE
    assert [answer["http"] for answer in answers][-30:] == [200] * 30
    answers = await minute(world, instance, said, name="later", hit=hit)
    assert {answer["http"] for answer in answers} == {200}


async def test_everybody_who_comes_back_in_the_minute_after_makes_at_most_twice_the_normal_rate() -> None:
    world = World(wall=World().clock)
    instance = world.instance()
    hit = (await instance.post(WORDS)).json()["url"]
    said: list[int] = []
    await minute(world, instance, said, name="before", hit=hit)
    world.speaker.error = down
    for number in range(2):
        await minute(world, instance, said, name=f"down {number}", hit=hit)
    world.speaker.error = None
    world.pass_time(31)
    before = len(world.speaker.said)
    for second in range(NORMAL_A_MINUTE):  # five times the normal rate: all who were refused ask again
        await asyncio.gather(
            *(instance.post({**WORDS, "text": f"again {second} {each}.", "wait_ms": 50}) for each in range(5))
        )
        world.pass_time(1)
    assert len(world.speaker.said) - before <= 2 * said[0]


async def test_while_it_is_down_a_neutral_prompt_has_its_own_url() -> None:
    world = World(wall=World().clock)
    world.tenants([tenant_entry("acme", API_KEY, fallback_prompt={"zh-CN": NEUTRAL})])
    instance = world.instance()
    neutral = (await instance.post({**WORDS, "text": NEUTRAL})).json()["url"]
    world.speaker.error = down
    for number in range(8):
        answer = await instance.post({**WORDS, "text": f"您的余额是 {number} 元。"})
        assert (answer.status, answer.json()["status"], answer.json()["url"]) == (200, "degraded", neutral)


async def hits(instance: Instance, url: str, count: int = 20) -> float:
    """The longest of some hits, in seconds."""
    longest = 0.0
    for _ in range(count):
        begun_at = time.monotonic()
        assert (await instance.get(url)).status == (await instance.post(WORDS)).status == 200
        longest = max(longest, time.monotonic() - begun_at)
    return longest


async def test_a_speech_service_that_accepts_and_never_answers_does_not_hold_a_hit() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # half open: what is sent arrives, and nothing comes back
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    world = World()
    hit = (await world.instance().post(WORDS)).json()["url"]
    speaker = RestSpeaker(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 4)
    instance = world.instance(speaker=speaker)
    misses = [asyncio.create_task(instance.post({**WORDS, "text": f"Miss {n}.", "wait_ms": 1500})) for n in range(20)]
    await asyncio.sleep(0)
    assert await hits(instance, hit) < 1
    begun_at = time.monotonic()
    answers = await asyncio.gather(*misses)
    assert time.monotonic() - begun_at < 10
    assert {answer.status for answer in answers} <= {202, 503}
    await speaker.close()
    server.close()
    await server.wait_closed()


async def test_a_frozen_instance_holds_nobody_elses_hit() -> None:
    world = World()
    frozen = FakeSpeaker(gate=asyncio.Event())
    url = (await world.instance().post(WORDS)).json()["url"]
    task = asyncio.create_task(world.instance(speaker=frozen).post({**WORDS, "cache": "refresh"}))
    await frozen.began(1)  # it holds the prompt's claim, and does nothing more
    assert await hits(world.instance(), url) < 1
    assert frozen.gate is not None
    frozen.gate.set()
    assert (await task).status == 200


async def test_an_oss_that_does_not_answer_holds_a_hit_for_a_second_at_most_and_then_not_at_all() -> None:
    world = World()
    instance = world.instance()
    url = (await instance.post(WORDS)).json()["url"]
    assert (await instance.get(url)).status == 200
    world.pass_time(61)
    asked = 0

    async def never(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(30)

    world.bucket.head = world.bucket.get = never  # type: ignore[method-assign]
    begun_at = time.monotonic()
    assert (await instance.get(url)).status == 200
    assert time.monotonic() - begun_at < _PATIENCE_SECONDS + 1
    assert await hits(instance, url) < 1
    assert asked
