"""Every call of a clean run in file mode is struck once: before or after its effect, as an error or a death.

Then everything that may come again does: the event, the service's callback (twice), the timer, over longer than the
service's longest queue. Whatever was struck: one outcome, files that belong to it, nothing left behind, and a second
submission only where nobody could know of the first; that one is counted.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

import pytest

from functions.transcripts.handover import EXPECTED_SECONDS
from isikit.errors import IsiError
from unit.transcripts.scene import Scene, mono, silence, speech
from unit.transcripts.tripwire import Killed, Kind, Tripwire, When

KEY = "in/acme/call 1.wav"
PLACE = "transcripts/acme/call 1.wav"
LONG = mono(speech(1000) + silence(61_000))


async def come_again(scene: Scene, event: bytes) -> None:
    """Everything that brings a job forward in production, more than once."""
    for _ in range(2):
        await tried(scene.deliver(event, request_id="1-again"))
    await told(scene)
    for _ in range(4):
        scene.clock.move(60)
        await tried(scene.tick())
    for _ in range(2):
        scene.clock.move(EXPECTED_SECONDS)
        await tried(scene.tick())
        await told(scene)
        await tried(scene.tick())


async def told(scene: Scene) -> None:
    """The service ends its tasks and calls back, each time twice."""
    assert scene.service is not None
    scene.service.end("hello")
    for order in [*scene.service.orders, *scene.service.orders]:
        answer = await scene.call_back(order)
        assert answer.status_code in (200, 403, 410, 502, 503)


async def tried(work: Any) -> None:
    try:
        await work
    except IsiError:
        return


async def first_run(scene: Scene, event: bytes) -> None:
    """A clean run: delivered, finished by a look of the timer's."""
    assert scene.service is not None
    await scene.deliver(event)
    scene.service.end("hello")
    await scene.tick()


def calls_of_a_clean_run() -> list[str]:
    scene = Scene()
    scene.with_queue()
    wire = Tripwire(scene)
    asyncio.run(first_run(scene, scene.upload(KEY, LONG, {"call-id": "c-1"})))
    assert scene.read(f"{PLACE}.txt") == "hello\n"
    return wire.calls


CALLS = calls_of_a_clean_run()
STRIKES = [(at, when, kind) for at in range(1, len(CALLS) + 1) for when in get_args(When) for kind in get_args(Kind)]


def test_a_clean_run_makes_every_kind_of_call() -> None:
    assert set(CALLS) >= {"head", "get", "tail", "put", "append", "delete", "copy", "list", "submit", "result"}
    assert CALLS.count("submit") == 1


@pytest.mark.parametrize(("at", "when", "kind"), STRIKES)
async def test_a_struck_call_leaves_one_outcome_and_no_uncounted_submission(at: int, when: When, kind: Kind) -> None:
    scene = Scene()
    service = scene.with_queue()
    wire = Tripwire(scene)
    event = scene.upload(KEY, LONG, {"call-id": "c-1"})
    wire.arm(at, when, kind)
    try:
        await first_run(scene, event)
    except (IsiError, Killed):
        wire.revive()
    wire.revive()
    await come_again(scene, event)

    types = scene.types(KEY, LONG)
    assert (types.count("received"), types.count("terminal"), types.count("published")) == (1, 1, 1)
    assert scene.keys("open/") == scene.keys("work/") == []
    job = scene.job(KEY, LONG)
    terminal = job.latest.terminal
    assert terminal is not None
    assert terminal.verdict.state == "done"
    attempt = f"attempts/{job.id}/1/{terminal.attempt}/transcript"
    for name in ("json", "txt", "srt", "vtt"):
        made = scene.state.objects[f"{attempt}.{name}"].data
        assert scene.recordings.objects[f"{PLACE}.{name}"].data == made
    assert json.loads(scene.read(f"{PLACE}.json"))["job_id"] == job.id

    doubles = terminal.verdict.possible_double
    assert len(service.orders) <= 1 + doubles
    between = between_submission_and_its_record(at, when)
    assert doubles <= int(between), f"{CALLS[at - 1]} struck {when}: submitted again without need"


def between_submission_and_its_record(at: int, when: When) -> bool:
    """Whether a strike falls after the intent was written and before the task's name was."""
    submit = CALLS.index("submit") + 1
    intent, record = submit - 1, submit + 1
    return at == submit or (at == intent and when == "after") or (at == record and when == "before")


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_callback_with_the_tasks_name_makes_a_second_submission_unnecessary(kind: Kind) -> None:
    scene = Scene()
    service = scene.with_queue()
    wire = Tripwire(scene)
    wire.arm(CALLS.index("submit") + 1, "after", kind)
    try:
        await first_run(scene, scene.upload(KEY, LONG, {"call-id": "c-1"}))
    except Killed:
        wire.revive()
    service.end("hello")
    answer = await scene.call_back(service.orders[0], b'{"TaskId": "task-0001", "StatusCode": 21050000}')
    assert answer.json() == {"outcome": "ended"}
    terminal = scene.job(KEY, LONG).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.possible_double, len(service.orders)) == ("done", 0, 1)


async def test_two_instances_at_once_submit_once() -> None:
    for _ in range(20):
        scene = Scene()
        service = scene.with_queue()
        scene.pause = scene.wait_a_turn
        event = scene.upload(KEY, LONG)
        await asyncio.gather(*(tried(scene.deliver(event, request_id=f"1-{n}")) for n in range(3)))
        assert len(service.orders) == 1
        service.end("hello")
        await asyncio.gather(*(scene.tick() for _ in range(3)), scene.call_back(service.orders[0]))
        assert scene.types(KEY, LONG).count("terminal") == 1
        assert scene.types(KEY, LONG).count("published") == 1
