"""One task per key, shared by all who wait for it, gone with the last of them."""

from __future__ import annotations

import asyncio

import pytest

from isikit.singleflight import SingleFlight


class Work:
    """Counts how often it was begun and ended, and waits until it is told to go on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.started, self.go = asyncio.Event(), asyncio.Event()
        self.error = error
        self.begun = self.finished = self.cancelled = 0

    async def __call__(self) -> str:
        self.begun += 1
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1
        if self.error is not None:
            raise self.error
        return "done"


async def started(flights: SingleFlight[str], work: Work, callers: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.ensure_future(flights.run("key", work)) for _ in range(callers)]
    await work.started.wait()
    return tasks


def only_this_test_runs() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_callers_share_one_run() -> None:
    flights, work = SingleFlight[str](), Work()
    tasks = await started(flights, work, 20)
    assert "key" in flights
    work.go.set()
    assert await asyncio.gather(*tasks) == ["done"] * 20
    assert work.begun == 1
    assert len(flights) == 0


async def test_other_keys_run_beside_it() -> None:
    flights, work = SingleFlight[str](), Work()
    work.go.set()
    await asyncio.gather(flights.run("a", work), flights.run("b", work))
    assert work.begun == 2


async def test_the_next_caller_after_the_end_starts_anew() -> None:
    flights, work = SingleFlight[str](), Work()
    work.go.set()
    await flights.run("key", work)
    await flights.run("key", work)
    assert work.begun == 2


async def test_an_error_reaches_every_caller_and_is_not_kept() -> None:
    flights, work = SingleFlight[str](), Work(ValueError("no"))
    tasks = await started(flights, work, 3)
    work.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["no"] * 3
    assert len(flights) == 0
    work.error = None
    assert await flights.run("key", work) == "done"


async def test_a_cancelled_first_caller_does_not_cancel_the_work_of_the_others() -> None:
    flights, work = SingleFlight[str](), Work()
    first, second = await started(flights, work, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.go.set()
    assert await second == "done"
    assert (work.begun, work.cancelled) == (1, 0)
    assert only_this_test_runs()


async def test_the_work_ends_with_its_last_caller() -> None:
    flights, work = SingleFlight[str](), Work()
    tasks = await started(flights, work, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (work.finished, work.cancelled) == (0, 1)
    assert len(flights) == 0
    assert only_this_test_runs()


async def test_a_caller_who_comes_while_the_work_is_being_cancelled_starts_anew() -> None:
    flights = SingleFlight[str]()
    cleaning, cleaned = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await cleaned.wait()
        raise AssertionError

    first = asyncio.ensure_future(flights.run("key", slow_to_end))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await cleaning.wait()
    work = Work()
    work.go.set()
    assert await flights.run("key", work) == "done"
    assert not first.done()
    cleaned.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert only_this_test_runs()


async def test_work_that_fails_while_it_is_cancelled_leaves_no_unheard_error() -> None:
    flights = SingleFlight[str]()

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("at the end") from None
        return ""

    task = asyncio.ensure_future(flights.run("key", stubborn))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert only_this_test_runs()
