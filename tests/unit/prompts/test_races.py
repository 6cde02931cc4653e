"""Deleting and refreshing while somebody makes or plays."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from support.memory_store import StoredObject
from support.prompting import World

WORDS = {"text": "您好，欢迎致电。", "retention": "permanent"}


def path(url: str) -> str:
    return url.split("/", 3)[3]


async def test_a_delete_in_the_middle_leaves_no_prompt_that_cannot_be_repaired() -> None:
    world = World(wall=World().clock)
    caller, other = world.instance(), world.instance()
    world.speaker.gate = asyncio.Event()
    asked = asyncio.create_task(caller.post(WORDS))
    await world.speaker.began(1)
    prompt_id = next(key for key in world.state.objects if key.startswith("recipes/")).rpartition("/")[2]
    assert (await other.call("DELETE", f"/v1/prompts/{prompt_id}")).status == 204
    world.speaker.gate.set()
    answer = (await asked).json()
    assert f"recipes/acme/{prompt_id}" in world.state.objects
    key = path(answer["url"])
    stored = world.bucket.objects[key]
    world.bucket.objects[key] = dataclasses.replace(stored, data=bytes(len(stored.data)))
    assert (await world.instance().get(answer["url"])).status == 200


async def test_what_is_damaged_and_has_no_recipe_is_a_miss_and_not_a_hit_for_ever() -> None:
    world = World()
    url = (await world.instance().post(WORDS)).json()["url"]
    key = path(url)
    stored = world.bucket.objects[key]
    world.bucket.objects[key] = dataclasses.replace(stored, data=bytes(len(stored.data)))
    for name in [name for name in world.state.objects if name.startswith("recipes/")]:
        del world.state.objects[name]
    for name in [name for name in world.bucket.objects if name.startswith("masters/")]:
        del world.bucket.objects[name]
    later = world.instance()
    assert (await later.get(url)).status == 404
    assert (await later.post(WORDS)).json()["cache"] == "miss"
    assert (await later.get(url)).status == 200


async def test_a_refresh_left_for_later_speaks_anew_though_its_rendition_was_never_made() -> None:
    world = World()
    caller = world.instance()
    await caller.post(WORDS)
    world.pass_time(1)
    answer = await caller.post({**WORDS, "sample_rate_hz": 16000, "cache": "refresh", "wait_ms": 0})
    assert answer.status == 202
    assert await world.later.carried_out(caller.prompts) == [True]
    assert len(world.speaker.said) == 2


@pytest.mark.parametrize("kind", ["masters/p/", "p/"])
async def test_another_prompts_audio_planted_here_is_never_played(kind: str) -> None:
    world = World()
    mine = (await world.instance().post(WORDS)).json()
    theirs = (await world.instance().post({**WORDS, "text": "请按一。"})).json()
    objects = world.bucket.objects
    source, target = (
        next(key for key in objects if key.startswith(kind) and one["id"] in key) for one in (theirs, mine)
    )
    foreign = objects[source].data
    objects[target] = StoredObject(foreign, "audio/wav", objects[source].metadata, world.clock.now())
    played = await world.instance().get(mine["url"])
    assert (played.status, played.body == objects[path(theirs["url"])].data) == (200, False)
