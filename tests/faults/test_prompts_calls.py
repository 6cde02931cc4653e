"""Every outward call of a synthesis: the fault before it, the fault after it, and the instance dead before and after.

The calls are those of a clean run, all of them, by number. Nothing but right audio is ever heard, and asking again
comes to the right end: by the same instance after a fault, by another one after a death.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from functions.prompts import pieces, rush
from isikit.errors import IsiError
from support.outward import Kind, Outward, When
from support.prompting import Answer, Instance, World
from support.right_audio import digests, heard_wrong

TEXT = "您好，欢迎致电。"
LONG = "今天的天气很好，我们去公园散步吧。" * 20  # more than 300 characters: two pieces
FILE = "pcm_s16le-8000.wav"
Act = Callable[[World, Instance], Awaitable[Answer]]


def asking(text: str = TEXT, **wish: Any) -> Act:
    async def act(world: World, instance: Instance) -> Answer:
        answer = await instance.post({"text": text, "consumer": "freeswitch", **wish})
        await events(world, instance)
        return answer

    return act


async def events(world: World, instance: Instance) -> None:
    """What was left for later is done once; an event that fails is not sent again."""
    with contextlib.suppress(IsiError):
        await world.later.carried_out(instance.prompts)


async def published(world: World, retention: str) -> tuple[str, str, str]:
    answer = await world.instance().post({"text": TEXT, "consumer": "freeswitch", "retention": retention})
    key = answer.json()["url"].split("/", 3)[3]
    master = next(name for name in world.bucket.objects if name.startswith("masters/"))
    world.pass_time(61)
    return answer.json()["url"], key, master


def playing(retention: str, *lost: str) -> tuple[Callable[[World], Awaitable[Any]], Act]:
    """A player's GET where the rendition, and perhaps the master, was lost or damaged."""
    urls: dict[int, str] = {}

    async def prepare(world: World) -> None:
        urls[id(world)], key, master = await published(world, retention)
        for name in (key, master):
            if "damaged" in lost and (name == key or "master" in lost):
                stored = world.bucket.objects[name]
                world.bucket.objects[name] = dataclasses.replace(stored, data=stored.data[:-2] + b"\1\1")
            elif name == key or "master" in lost:
                del world.bucket.objects[name]

    async def act(world: World, instance: Instance) -> Answer:
        answer = await instance.get(urls[id(world)])
        await events(world, instance)
        return answer

    return prepare, act


async def nothing(_: World) -> None:
    return


async def once_before(world: World) -> None:
    await published(world, "permanent")


SCENES: dict[str, tuple[Callable[[World], Awaitable[Any]], Act]] = {
    "permanent": (nothing, asking()),
    "day": (nothing, asking(retention="day")),
    "bypass": (nothing, asking(cache="bypass")),
    "refresh": (once_before, asking(cache="refresh")),
    "later": (nothing, asking(wait_ms=0)),
    "long": (nothing, asking(LONG)),
    "rendition lost": playing("permanent"),
    "rendition damaged": playing("permanent", "damaged"),
    "all lost": playing("permanent", "master"),
    "all of a day damaged": playing("day", "master", "damaged"),
}


async def clean_run(name: str) -> list[str]:
    world, outward = World(), Outward()
    prepare, act = SCENES[name]
    await prepare(world)
    answer = await act(world, world.instance(outward))
    assert answer.status in (200, 202, 503), answer.body
    return outward.calls


def right(world: World, filename: str = FILE) -> set[str]:
    both = digests(world.speaker, (TEXT,), filename)
    if any(said.text != TEXT for said in world.speaker.said):
        both |= digests(world.speaker, pieces.split(LONG), filename)
    return both


async def ended(tasks: set[asyncio.Task[Any]]) -> None:
    """Let go what a dead instance still has under way."""
    for _ in range(100):
        tasks = {task for task in tasks if not task.done()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.05)
    raise AssertionError(f"still running: {tasks}")


async def struck(world: World, name: str, outward: Outward) -> Instance:
    """Do the scene with the fault or the death, and give the instance that asks again."""
    prepare, act = SCENES[name]
    await prepare(world)
    before = asyncio.all_tasks()
    instance = world.instance(outward)
    work = asyncio.create_task(act(world, instance))
    died = asyncio.create_task(outward.died.wait())
    await asyncio.wait({work, died}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    if outward.kind == "kill" and outward.died.is_set():
        outward.buried.set()
        await ended(asyncio.all_tasks() - before)
        world.later.asked.clear()  # whoever was to take the event is gone with it
        return world.instance()
    died.cancel()
    answer = await work
    assert answer.status in (200, 202, 502, 503), (answer.status, answer.body)
    if answer.status >= 500:
        assert answer.headers["content-type"] == "application/problem+json"
    return instance


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["fault", "kill"])
@pytest.mark.parametrize("name", SCENES)
async def test_whatever_call_fails_or_kills_only_right_audio_is_heard_and_asking_again_works(
    name: str, kind: Kind, when: When
) -> None:
    calls = await clean_run(name)
    assert len(calls) >= 6
    for nth in range(1, len(calls) + 1):
        told = f"{kind} {when} call {nth} of {name}: {calls[nth - 1]}"
        world, outward = World(), Outward(nth, kind, when)
        instance = await struck(world, name, outward)
        assert outward.struck, told
        assert not await heard_wrong(world, functools.partial(right, world)), told
        world.pass_time(rush.CLAIM_SECONDS + 1)
        _, act = SCENES[name]
        again = await act(world, instance)
        if again.status in (202, 503):  # left for later, and later has come
            world.pass_time(rush.CLAIM_SECONDS + 1)
            again = await act(world, instance) if again.status == 503 else await instance.get(again.json()["url"])
        assert again.status == 200, (told, again.body)
        is_json = again.headers["content-type"] == "application/json"
        audio = await world.instance().get(again.json()["url"]) if is_json else again
        assert audio.status == 200, told
        assert hashlib.sha256(audio.body).hexdigest() in right(world), told
        assert not await heard_wrong(world, functools.partial(right, world)), told


async def test_the_scenes_reach_every_kind_of_call() -> None:
    seen = {call for name in SCENES for call in await clean_run(name)}
    assert seen >= {
        *("speech", "token", "later"),
        *("prompts.head p", "prompts.get masters", "prompts.put masters", "prompts.put p", "prompts.put e"),
        *("prompts.list p", "prompts.delete p", "state.put recipes", "state.put day-recipes", "state.get recipes"),
        *("state.append claims", "state.tail claims", "state.get config", "state.head recipes"),
    }


@pytest.mark.parametrize("when", ["before", "after"])
async def test_one_fault_costs_at_most_one_more_synthesis(when: When) -> None:
    for nth in range(1, len(await clean_run("permanent")) + 1):
        world, outward = World(), Outward(nth, "fault", when)
        instance = await struck(world, "permanent", outward)
        world.pass_time(rush.CLAIM_SECONDS + 1)
        assert (await asking()(world, instance)).status == 200
        assert len(world.speaker.said) <= 2, outward.calls[nth - 1]


async def test_one_who_dies_is_followed_within_one_claim() -> None:
    for nth in range(1, len(await clean_run("permanent")) + 1):
        world, outward = World(), Outward(nth, "kill", "after")
        second = await struck(world, "permanent", outward)
        world.pass_time(rush.CLAIM_SECONDS + 1)
        answer = await asking()(world, second)
        assert (answer.status, len(world.speaker.said) <= 2) == (200, True), outward.calls[nth - 1]
