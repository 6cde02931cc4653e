"""Places at the speech service: few at first, more where that goes well, fewer when it refuses; none is ever lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isikit.errors import DeadlineExceeded, SpeechBusy, SpeechError
from isikit.host.context import Deadline
from isikit.nls.places import HOLD_SECONDS, PAUSE_SECONDS, STEP, Placed, Places
from support.memory_store import MovableClock

ANY: Any = None
CALL_SECONDS = 0.002


class Service:
    """Refuses what exceeds a quota, and counts."""

    def __init__(self, quota: int) -> None:
        self.quota, self.busy, self.peak, self.refused, self.starts = quota, 0, 0, 0, 0

    async def speak(self, *_: Any) -> Any:
        self.starts += 1
        if self.busy >= self.quota:
            self.refused += 1
            raise SpeechBusy
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            await asyncio.sleep(CALL_SECONDS)
            return "spoken"
        finally:
            self.busy -= 1

    async def close(self) -> None:
        """Nothing to close."""


async def spoken(places: Places, service: Service) -> None:
    await places.acquire()
    placed = Placed(cast(Any, service), places)
    try:
        for _ in range(100):
            try:
                await placed.speak(ANY, ANY, Deadline.after(20))
            except SpeechBusy:
                await asyncio.sleep(CALL_SECONDS)
            else:
                return
    finally:
        await placed.close()
    raise AssertionError("it never came to speak")


@pytest.mark.parametrize(("most", "first"), [(1, 1), (2, 2), (8, 2), (20, 5), (200, 50)])
def test_it_begins_with_a_quarter_and_at_least_two(most: int, first: int) -> None:
    assert Places(most).limit == first


async def test_what_goes_well_while_others_wait_opens_one_place_after_another_up_to_the_most() -> None:
    clock = MovableClock()
    places, service = Places(4, clock.now), Service(1000)
    for limit in (2, 3, 4, 4):
        assert places.limit == limit
        await asyncio.gather(*(spoken(places, service) for _ in range(limit * STEP + 10)))  # too soon
        assert (places.limit, service.peak, service.refused) == (limit, limit, 0)
        clock.move(PAUSE_SECONDS)
        await asyncio.gather(*(spoken(places, service) for _ in range(limit * STEP + 10)))


async def test_without_a_queue_nothing_is_tried() -> None:
    clock = MovableClock()
    places, service = Places(8, clock.now), Service(1000)
    clock.move(PAUSE_SECONDS)
    for _ in range(3 * STEP):
        await spoken(places, service)
    assert places.limit == 2


async def test_a_refusal_takes_a_fifth_back_and_holds_for_a_minute() -> None:
    clock = MovableClock()
    places, service = Places(40, clock.now), Service(1000)
    places.was_refused()
    assert places.limit == 8
    clock.move(HOLD_SECONDS - 1)
    await asyncio.gather(*(spoken(places, service) for _ in range(8 * STEP + 10)))
    assert places.limit == 8
    clock.move(1)
    await asyncio.gather(*(spoken(places, service) for _ in range(8 * STEP + 10)))
    assert places.limit > 8


def test_one_place_is_always_left() -> None:
    places = Places(8)
    for _ in range(20):
        places.was_refused()
    assert places.limit == 1


@pytest.mark.parametrize(("instances", "quota", "calls"), [(8, 20, 1000), (3, 20, 600)])
async def test_instances_that_know_nothing_of_each_other_share_a_quota(instances: int, quota: int, calls: int) -> None:
    service = Service(quota)
    everybody = [Places(8, lambda: time.monotonic() / CALL_SECONDS) for _ in range(instances)]  # a call lasts 1 s
    await asyncio.gather(*(spoken(everybody[number % instances], service) for number in range(calls)))
    assert service.refused <= 0.02 * service.starts, service.refused
    assert service.peak >= quota * 0.75


async def test_a_refused_call_waits_for_its_place_again_until_its_deadline() -> None:
    places, service = Places(1), Service(0)
    await places.acquire()
    placed = Placed(cast(Any, service), places)
    with pytest.raises(SpeechBusy):
        await placed.speak(ANY, ANY, Deadline.after(5))
    await asyncio.wait_for(places.acquire(), 1)  # its place is free for others
    with pytest.raises(DeadlineExceeded):
        await placed.speak(ANY, ANY, Deadline.after(0.02))
    await placed.close()
    places.release()
    assert not places.locked()


async def test_an_error_that_is_no_refusal_changes_nothing() -> None:
    class Broken(Service):
        async def speak(self, *_: Any) -> Any:
            raise SpeechError

    places = Places(8)
    await places.acquire()
    placed = Placed(cast(Any, Broken(1)), places)
    with pytest.raises(SpeechError):
        await placed.speak(ANY, ANY, Deadline.after(1))
    await placed.close()
    await placed.close()
    assert (places.limit, places.locked()) == (2, False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_whoever_goes_away_when_no_place_is_lost_or_given_twice(plan: list[tuple[int, int]]) -> None:
    async def scene() -> None:
        places, tasks, busy, most = Places(2), list[asyncio.Task[None]](), 0, 0

        async def use() -> None:
            nonlocal busy, most
            await places.acquire()
            busy += 1
            most = max(most, busy)
            try:
                await asyncio.sleep(0)
            finally:
                busy -= 1
                places.release()

        for turns, victim in plan:
            tasks.append(asyncio.create_task(use()))
            for _ in range(turns):
                await asyncio.sleep(0)
            if victim < len(tasks):
                tasks[-1 - victim].cancel()
        await asyncio.wait(tasks) if tasks else None
        assert most <= 2
        await asyncio.wait_for(places.acquire(), 1)
        await asyncio.wait_for(places.acquire(), 1)
        assert places.locked()

    asyncio.run(scene())
