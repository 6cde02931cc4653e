"""Rates and the daily quota of billed calls, as the prompts function holds them."""

from __future__ import annotations

import asyncio

import pytest

from support.prompting import API_KEY, OTHER_KEY, World, tenant_entry

WORDS = {"text": "您好，请稍候。"}


@pytest.fixture
def world() -> World:
    limited = World()
    limited.tenants(
        [
            tenant_entry("acme", API_KEY, quotas={"synthesis_calls": 3}),
            tenant_entry("other", OTHER_KEY, rates={"prompts": "2/day"}),
        ]
    )
    return limited


async def test_too_many_requests_are_429_and_speak_nothing(world: World) -> None:
    instance = world.instance()
    answers = [await instance.post(WORDS, key=OTHER_KEY) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert (answers[2].json()["code"], answers[2].headers["ratelimit-limit"]) == ("limit.rate", "2")
    assert len(world.speaker.said) == 1


async def test_players_are_not_counted(world: World) -> None:
    instance = world.instance()
    url = (await instance.post(WORDS, key=OTHER_KEY)).json()["url"]
    answers = [await instance.get(url) for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers


async def test_the_quota_counts_billed_calls_and_hits_cost_nothing(world: World) -> None:
    instance = world.instance()
    texts = [{"text": f"Nummer {number}."} for number in range(4)]
    assert [(await instance.post(text)).status for text in texts] == [200, 200, 200, 429]
    assert [(await instance.post(text)).json()["cache"] for text in texts[:3]] == ["hit"] * 3
    refused = await instance.post(texts[3])
    assert refused.json()["code"] == "limit.quota"
    assert int(refused.headers["retry-after"]) <= 86_400
    assert len(world.speaker.said) == 3


async def test_a_text_of_more_calls_than_are_left_is_refused_whole(world: World) -> None:
    instance = world.instance()
    assert (await instance.post({"text": "Kurz."})).status == 200
    assert (await instance.post({"text": "很长的一句话。" * 40})).status == 429
    assert len(world.speaker.said) == 1
    assert (await instance.post({"text": "Auch kurz."})).status == 200


async def test_the_quota_holds_over_instances_and_begins_anew_at_midnight_in_china(world: World) -> None:
    answers = [await world.instance().post({"text": f"Nummer {number}."}) for number in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    world.pass_time(86_400)
    assert (await world.instance().post({"text": "Nummer 3."})).status == 200


async def test_what_was_never_begun_is_given_back(world: World) -> None:
    world.concurrency = 1
    instance = world.instance()
    world.speaker.gate = asyncio.Event()
    first = asyncio.create_task(instance.post({"text": "Erster."}))
    await world.speaker.began(1)
    refusals = [await instance.post({"text": "Zweiter.", "wait_ms": 300}) for _ in range(3)]
    assert {answer.json()["code"] for answer in refusals} == {"host.overloaded"}
    world.speaker.gate.set()
    assert (await first).status == 200
    later = [await instance.post({"text": text}) for text in ("Zweiter.", "Dritter.", "Vierter.")]
    assert [answer.status for answer in later] == [200, 200, 429]
