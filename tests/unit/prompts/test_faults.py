"""Every call to OSS fails once, before or after it took effect: nobody hears the wrong thing, and a retry works."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from functions.prompts import mastering
from functions.prompts.rendition import RENDITIONS, derive
from isikit.audio import wav
from support.memory_store import MemoryStore, Operation
from support.prompting import Answer, Instance, World, tone

WORDS = {"text": "您好，欢迎致电。", "consumer": "freeswitch"}
SCENES: dict[str, dict[str, Any]] = {
    "permanent": {},
    "day": {"retention": "day"},
    "bypass": {"cache": "bypass"},
    "refresh": {"cache": "refresh"},
    "later": {"wait_ms": 0},
}
BUCKETS = ("prompts", "state")
When = Literal["before", "after"]


def bucket(world: World, name: str) -> MemoryStore:
    return world.bucket if name == "prompts" else world.state


def right(world: World) -> set[str]:
    """What may be heard: every take of the text there was, as a rendition."""
    takes = [mastering.join([tone(each, number)], 16000) for number, each in enumerate(world.speaker.said, 1)]
    derived = (derive(take, 16000, RENDITIONS["pcm_s16le-8000.wav"]).body for take in takes)
    return {hashlib.sha256(body).hexdigest() for body in derived}


async def scene(world: World, change: dict[str, Any]) -> tuple[Instance, Answer]:
    instance = world.instance()
    if change.get("cache") == "refresh":
        world.bucket.heal()
    return instance, await instance.post({**WORDS, **change})


def clean_run() -> Iterator[tuple[str, str, str, int]]:
    """Every call of every scene, found by running it once."""
    import asyncio

    async def counted(change: dict[str, Any]) -> dict[str, dict[str, int]]:
        world = World()
        _, answer = await scene(world, change)
        assert answer.status in (200, 202)
        return {name: dict(bucket(world, name).calls) for name in BUCKETS}

    for name, change in SCENES.items():
        for store, calls in asyncio.run(counted(change)).items():
            for operation, count in calls.items():
                yield from ((name, store, operation, nth) for nth in range(1, count + 1))


CALLS = list(clean_run())


def test_the_scenes_make_the_calls_that_matter() -> None:
    seen = {(store, operation) for _, store, operation, _ in CALLS}
    assert seen >= {("prompts", "put"), ("prompts", "get"), ("prompts", "head"), ("state", "append"), ("state", "put")}
    assert len(CALLS) > 30


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "store", "operation", "nth"), CALLS, ids=lambda each: str(each))
async def test_one_failed_call_never_makes_wrong_audio_and_a_retry_succeeds(
    name: str, store: str, operation: Operation, nth: int, when: When
) -> None:
    world, change = World(), SCENES[name]
    bucket(world, store).fail(operation, nth=nth, when=when)
    instance, first = await scene(world, change)
    assert first.status in (200, 202, 503), first.body
    if first.status == 503:
        assert first.headers["content-type"] == "application/problem+json"
        assert "retry-after" in first.headers or first.json()["code"]
    bucket(world, store).heal()
    world.pass_time(20)  # a claim that could not be given back has ended by then
    again = await instance.post({**WORDS, **change})
    assert again.status in (200, 202), again.body
    for each in (instance, world.instance()):
        heard = await each.get(again.json()["url"])
        assert heard.status == 200, heard.body
        assert hashlib.sha256(heard.body).hexdigest() in right(world)
        assert wav.read(heard.body).rate_hz == 8000
    assert len(world.speaker.said) <= (3 if change.get("cache") in ("bypass", "refresh") else 2)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_audio_that_was_paid_for_is_not_lost_to_one_failed_put(when: When) -> None:
    world = World()
    world.bucket.fail("put", when=when)
    _, answer = await scene(world, {})
    assert (answer.status, len(world.speaker.said)) == (200, 1)


@pytest.mark.parametrize("store", BUCKETS)
@pytest.mark.parametrize("operation", ["head", "get", "put", "append", "tail", "delete", "list"])
async def test_an_operation_that_fails_always_is_an_error_and_never_audio(store: str, operation: Operation) -> None:
    world = World()
    bucket(world, store).fail(operation, times=10_000)
    instance, answer = await scene(world, {})
    assert answer.status in (200, 202, 503)
    for key in [key for key in world.bucket.objects if key.startswith("p/")]:
        heard = await instance.get(f"/{key}")
        assert heard.status != 200 or hashlib.sha256(heard.body).hexdigest() in right(world)
