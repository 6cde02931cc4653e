"""Time limits on one timer."""

from __future__ import annotations

import asyncio

import pytest

from isikit.host.timeouts import TimeLimit

LONG_SECONDS = 3600.0


async def _waits(seconds: float) -> str:
    try:
        with TimeLimit(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        return "over"
    raise AssertionError("unreachable")


async def test_a_block_that_waits_too_long_is_ended_at_its_own_time_and_not_at_anothers() -> None:
    loop = asyncio.get_running_loop()
    begun_at = loop.time()
    long = asyncio.create_task(_waits(LONG_SECONDS))
    later, sooner = asyncio.create_task(_waits(0.12)), asyncio.create_task(_waits(0.05))
    assert await sooner == "over"
    assert loop.time() - begun_at >= 0.049
    assert not later.done()
    assert await later == "over"
    assert loop.time() - begun_at >= 0.119
    assert not long.done()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long


async def test_no_time_at_all_ends_a_block_where_it_first_waits() -> None:
    assert await asyncio.wait_for(_waits(0.0), 5) == "over"
    assert await asyncio.wait_for(_waits(-1.0), 5) == "over"


async def test_a_block_that_ends_in_time_is_left_alone_afterwards() -> None:
    with TimeLimit(0.02):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)  # over the end of the limit, which is nobody's any more


async def test_of_two_limits_the_inner_one_ends_only_its_own_block() -> None:
    with TimeLimit(LONG_SECONDS):
        assert await _waits(0.01) == "over"
        await asyncio.sleep(0)


async def test_who_is_cancelled_by_somebody_else_stays_cancelled() -> None:
    task = asyncio.create_task(_waits(LONG_SECONDS))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(KeyError), TimeLimit(LONG_SECONDS):
        raise KeyError


def test_each_event_loop_has_its_own_timer() -> None:
    for _ in range(3):
        assert asyncio.run(asyncio.wait_for(_waits(0.01), 5)) == "over"
