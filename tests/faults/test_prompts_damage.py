"""Objects that rot: never heard, repaired to the recorded SHA-256, or the prompt gets another revision."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from functions.prompts.warm import FRESH_SECONDS
from support.prompting import World

WORDS = {"text": "您好，欢迎致电。", "retention": "permanent", "consumer": "freeswitch"}
ROT = {
    "a bit": lambda data: data[:-1] + bytes((data[-1] ^ 1,)),
    "truncated": lambda data: data[:100],
    "empty": lambda _: b"",
}


def rot(world: World, key: str, how: str) -> str:
    """Damage an object's bytes; what its SHA-256 was recorded as."""
    stored = world.bucket.objects[key]
    world.bucket.objects[key] = dataclasses.replace(stored, data=ROT[how](stored.data))
    return stored.metadata["sha256"]


@pytest.mark.parametrize("how", ROT)
async def test_a_damaged_rendition_is_repaired_to_what_was_recorded_within_a_minute(how: str) -> None:
    world = World()
    warm = world.instance()
    url = (await warm.post(WORDS)).json()["url"]
    key = url.split("/", 3)[3]
    recorded = rot(world, key, how)
    for instance in (warm, world.instance()):
        heard = await instance.get(url)
        assert (heard.status, hashlib.sha256(heard.body).hexdigest()) == (200, recorded)
    world.pass_time(FRESH_SECONDS)
    heard = await warm.get(url)
    assert (heard.status, hashlib.sha256(heard.body).hexdigest()) == (200, recorded)
    assert hashlib.sha256(world.bucket.objects[key].data).hexdigest() == recorded
    assert len(world.speaker.said) == 1


@pytest.mark.parametrize("how", ROT)
async def test_where_the_master_is_damaged_too_the_url_is_over_and_the_next_one_is_another(how: str) -> None:
    world = World()
    first = (await world.instance().post(WORDS)).json()
    key = first["url"].split("/", 3)[3]
    for damaged in (key, f"masters/{key.rpartition('/')[0]}.wav"):
        rot(world, damaged, how)
    instance = world.instance()
    assert (await instance.get(first["url"])).status == 410
    again = await instance.post(WORDS)
    assert (again.status, again.json()["cache"]) == (200, "miss")
    assert again.json()["url"] != first["url"]
    assert (await world.instance().get(again.json()["url"])).status == 200
    assert (await world.instance().get(first["url"])).status == 410


async def test_what_was_never_made_or_was_deleted_by_hand_is_spoken_and_not_retired() -> None:
    world = World()
    url = (await world.instance().post(WORDS)).json()["url"]
    for key in [key for key in world.bucket.objects if "p/" in key]:
        del world.bucket.objects[key]
    assert (await world.instance().get(url)).status == 200
