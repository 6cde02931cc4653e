"""Three deliveries of one event at once, in many orders, some of which die: one outcome, whatever the order."""

from __future__ import annotations

import asyncio
import random

import pytest

from isikit.errors import IsiError
from unit.transcripts.scene import Scene, mono, speech
from unit.transcripts.tripwire import Killed

KEY = "in/acme/a.wav"
CALL = mono(speech(300))


class Chance:
    """Lets others go first now and then, and moves the clock."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._random = random.Random(seed)
        self._clock = scene.clock
        scene.state.turn = scene.recordings.turn = self._turn
        scene.recognise.before = self._turn
        scene.pause = self._pause

    def delivery(self) -> int:
        """How many turns a delivery lives; most live long enough."""
        return self._random.choice([self._random.randint(1, 60), 10_000])

    async def _turn(self) -> None:
        if self._random.random() < 0.02:
            self._clock.move(self._random.randint(1, 40))
        for _ in range(self._random.randint(0, 3)):
            await asyncio.sleep(0)

    async def _pause(self, seconds: float) -> None:
        self._clock.move(seconds)
        await self._turn()


async def one_that_may_die(scene: Scene, event: bytes, name: str, turns: int) -> None:
    """Deliver, and die after so many turns of the loop: then nothing more happens."""
    task = asyncio.ensure_future(scene.deliver(event, request_id=name))
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("seed", range(80))
async def test_deliveries_in_any_order_end_in_one_outcome(seed: int) -> None:
    scene = Scene()
    chance = Chance(scene, seed)
    event = scene.upload(KEY, CALL)
    await asyncio.gather(*(one_that_may_die(scene, event, f"1-{n}", chance.delivery()) for n in range(3)))
    for last in range(5):
        try:
            await scene.deliver(event, request_id=f"1-last-{last}")
        except (IsiError, Killed):
            continue
    job = scene.job(KEY, CALL)
    terminal = job.latest.terminal
    assert terminal is not None
    assert scene.types(KEY, CALL).count("terminal") == 1
    assert scene.types(KEY, CALL).count("published") == 1
    assert scene.keys("open/") == []
    made = scene.state.objects[f"attempts/{job.id}/1/{terminal.attempt}/{terminal.verdict.files[0]}"].data
    place = "transcripts/acme/a.wav.json" if terminal.verdict.state == "done" else "quarantine/acme/a.wav.report.txt"
    assert scene.recordings.objects[place].data == made
