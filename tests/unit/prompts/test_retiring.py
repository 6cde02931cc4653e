"""`POST /v1/prompts/{id}/retire`: wrong audio ends for good, and the same request gets another URL."""

from __future__ import annotations

import asyncio

import pytest

from support.prompting import OTHER_KEY, Answer, Instance, World

WORDS = {"text": "您好，欢迎致电。"}


async def retire(instance: Instance, prompt_id: str, **more: str) -> Answer:
    return await instance.call("POST", f"/v1/prompts/{prompt_id}/retire", **more)  # type: ignore[arg-type]


async def test_a_retired_prompt_gets_another_id_and_url_and_the_old_one_is_gone(instance: Instance) -> None:
    old = (await instance.post(WORDS)).json()
    answer = await retire(instance, old["id"])
    assert (answer.status, answer.json()) == (200, {"id": old["id"], "status": "retired"})
    new = (await instance.post(WORDS)).json()
    assert (new["status"], new["cache"], new["id"] != old["id"]) == ("ready", "miss", True)
    played = await instance.get(old["url"])
    assert (played.status, played.json()["code"]) == (410, "prompt.gone")
    assert played.headers["cache-control"] == "no-store, max-age=0"
    assert (await instance.get(new["url"])).status == 200


async def test_within_a_minute_it_is_gone_on_every_instance(world: World, instance: Instance) -> None:
    url = (await instance.post(WORDS)).json()["url"]
    other = world.instance()
    assert (await other.get(url)).status == 200
    await retire(instance, url.split("/")[5])
    world.pass_time(61)
    for method in (other.get, other.head, world.instance().get):
        assert (await method(url)).status == 410
    assert (await other.post(WORDS)).json()["url"] != url


async def test_a_warm_hit_of_what_was_retired_before_asks_nobody(world: World, instance: Instance) -> None:
    for _ in range(3):
        await retire(instance, (await instance.post(WORDS)).json()["id"])
    last = (await instance.post(WORDS)).json()
    before = world.bucket.calls.total() + world.state.calls.total()
    again = (await instance.post(WORDS)).json()
    assert (again["url"], again["cache"]) == (last["url"], "hit")
    assert world.bucket.calls.total() + world.state.calls.total() == before
    assert (await world.instance().post(WORDS)).json()["url"] == last["url"]  # who remembers nothing finds it too
    assert len(world.speaker.said) == 4


async def test_retiring_twice_changes_nothing(instance: Instance) -> None:
    old = (await instance.post(WORDS)).json()["id"]
    await retire(instance, old)
    new = (await instance.post(WORDS)).json()
    assert (await retire(instance, old)).status == 200
    assert (await instance.post(WORDS)).json()["url"] == new["url"]


async def test_what_was_only_promised_is_never_made_once_it_is_retired(world: World, instance: Instance) -> None:
    got = (await instance.post({**WORDS, "wait_ms": 0})).json()
    await retire(instance, got["id"])
    assert (await instance.get(got["url"])).status == 410
    assert await world.later.carried_out(instance.prompts) == [False]
    assert world.speaker.said == []
    assert not world.bucket.objects


async def test_what_is_retired_while_it_is_made_leaves_nothing_behind() -> None:
    world = World()
    caller, other = world.instance(), world.instance()
    world.speaker.gate = asyncio.Event()
    asked = asyncio.create_task(caller.post({**WORDS, "retention": "permanent"}))
    await world.speaker.began(1)
    prompt_id = next(key for key in world.state.objects if key.startswith("recipes/")).rpartition("/")[2]
    assert (await retire(other, prompt_id)).status == 200
    world.speaker.gate.set()
    assert (await asked).status == 410
    assert not world.bucket.objects
    assert (await caller.post(WORDS)).json()["id"] != prompt_id


async def test_a_retirement_that_broke_off_half_way_holds_and_can_be_repeated() -> None:
    world = World()
    caller, other = world.instance(), world.instance()
    got = (await caller.post({**WORDS, "wait_ms": 0})).json()
    await other.prompts.revisions.retire("acme", got["id"])  # and dies before it deletes anything
    assert (await caller.get(got["url"])).status == 410
    assert not world.bucket.objects
    assert (await retire(other, got["id"])).status == 200
    assert not [key for key in world.state.objects if "recipes/" in key]


async def test_both_retentions_of_a_prompt_are_retired_together(instance: Instance) -> None:
    kept = (await instance.post(WORDS)).json()
    short = (await instance.post({**WORDS, "retention": "day"})).json()
    await retire(instance, kept["id"])
    for url in (kept["url"], short["url"]):
        assert (await instance.get(url)).status == 410


async def test_showing_and_deleting_say_that_it_was_retired(instance: Instance) -> None:
    prompt_id = (await instance.post(WORDS)).json()["id"]
    await retire(instance, prompt_id)
    for method in ("GET", "DELETE"):
        assert (await instance.call(method, f"/v1/prompts/{prompt_id}")).status == 410


@pytest.mark.parametrize("prompt_id", ["k1" + "a" * 52, "x", "..", "once"])
async def test_an_unknown_prompt_cannot_be_retired(world: World, instance: Instance, prompt_id: str) -> None:
    assert (await retire(instance, prompt_id)).status == 404
    assert not [key for key in world.state.objects if key.startswith("retired/")]


async def test_nobody_retires_the_prompts_of_another_tenant(instance: Instance) -> None:
    got = (await instance.post(WORDS)).json()
    assert (await retire(instance, got["id"], key=OTHER_KEY)).status == 404
    assert (await instance.get(got["url"])).status == 200
