"""Trying again: within the deadline, jittered, and never more than a tenth of all calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isikit.errors import DeadlineExceeded, IsiError, PositionConflict, SpeechBusy, StorageError
from isikit.host.context import Deadline
from isikit.retry import RetryBudget, retrying


def _away() -> StorageError:
    error = StorageError(code="oss.unavailable")
    error.retryable = True
    return error


class World:
    """A clock that sleeping moves, and a call that fails as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        self.pauses: list[float] = []
        self.calls = 0
        self.failures: list[Exception] = []
        monkeypatch.setattr("isikit.host.context.time", self)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def call(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    async def run(self, jitter: Callable[[float, float], float] = lambda low, high: high, **changed: Any) -> str:
        settings: dict[str, Any] = {
            "operation": "oss.PutObject",
            "deadline": Deadline.after(60),
            "budget": RetryBudget(),
            "jitter": jitter,
            "sleep": self.sleep,
        }
        return await retrying(self.call, **{**settings, **changed})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_a_success_is_not_repeated(world: World) -> None:
    assert await world.run() == "done"
    assert (world.calls, world.pauses) == (1, [])


async def test_what_may_pass_is_tried_again_after_growing_pauses(world: World) -> None:
    world.failures = [_away(), _away(), _away()]
    assert await world.run(attempts=4) == "done"
    assert world.pauses == pytest.approx([0.1, 0.2, 0.4])


async def test_pauses_have_an_upper_end(world: World) -> None:
    world.failures = [_away() for _ in range(9)]
    await world.run(attempts=10)
    assert max(world.pauses) == 2.0


async def test_pauses_are_drawn_from_zero_on(world: World) -> None:
    world.failures = [_away()]
    drawn: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        drawn.append((low, high))
        return 0.05

    await world.run(jitter)
    assert drawn == [(0.0, 0.1)]
    assert world.pauses == [0.05]


async def test_what_the_service_asked_for_comes_first_and_jitter_on_top(world: World) -> None:
    world.failures = [SpeechBusy(retry_after=3)]
    await world.run()
    assert world.pauses == pytest.approx([3.1])


async def test_the_last_error_is_raised_when_the_attempts_are_used_up(world: World) -> None:
    world.failures = [_away(), _away(), _away()]
    with pytest.raises(StorageError):
        await world.run()
    assert world.calls == 3


@pytest.mark.parametrize("error", [IsiError(), PositionConflict(), ValueError("a bug")])
async def test_what_cannot_pass_is_raised_at_once(world: World, error: Exception) -> None:
    world.failures = [error]
    with pytest.raises(type(error)):
        await world.run()
    assert world.calls == 1


async def test_a_pause_that_would_outlast_the_deadline_is_not_begun(world: World) -> None:
    world.failures = [SpeechBusy(retry_after=5)]
    with pytest.raises(SpeechBusy):
        await world.run(deadline=Deadline.after(5))
    assert (world.calls, world.pauses) == (1, [])


async def test_without_time_nothing_is_begun_at_all(world: World) -> None:
    with pytest.raises(DeadlineExceeded):
        await world.run(deadline=Deadline.after(0))
    assert world.calls == 0


async def test_in_an_outage_a_tenth_of_the_calls_is_retried_and_no_more(world: World) -> None:
    budget = RetryBudget()
    for _ in range(1000):
        world.failures = [_away() for _ in range(3)]
        with pytest.raises(StorageError):
            await world.run(budget=budget, deadline=Deadline.after(60))
    retries = world.calls - 1000
    assert 100 <= retries <= 100 + 10  # the reserve is there once


async def test_quiet_times_do_not_save_up_for_a_storm(world: World) -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.called()
    taken = 0
    while budget.take():
        taken += 1
    assert taken == 10


async def test_a_retry_is_logged_with_its_reason(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.failures = [_away()]
    await world.run()
    line = capsys.readouterr().out
    assert '"event":"call.retried"' in line
    assert '"operation":"oss.PutObject"' in line
    assert '"code":"oss.unavailable"' in line
