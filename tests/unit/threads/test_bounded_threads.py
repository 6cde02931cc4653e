"""A fixed number of threads, and nobody waits for one, or for what it does, longer than the request lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from isikit.errors import DeadlineExceeded, Overloaded
from isikit.host import context
from isikit.threads import BoundedThreads


@pytest.fixture
def threads() -> Iterator[BoundedThreads]:
    """One thread."""
    made = BoundedThreads("test", 1)
    yield made
    made.close()


def within(seconds: float) -> context.RequestContext:
    return context.RequestContext("1-00000000-00000000-000000000000", context.Deadline.after(seconds))


async def test_work_runs_in_a_thread_and_answers(threads: BoundedThreads) -> None:
    assert await threads.run(threading.get_ident) != threading.get_ident()


async def test_errors_of_the_work_are_its_own_also_a_timeout(threads: BoundedThreads) -> None:
    def fail() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await threads.run(fail)


async def test_the_work_runs_in_the_context_of_its_request(threads: BoundedThreads) -> None:
    with context.entered(within(10)):
        assert (await threads.run(context.current)).request_id == "1-00000000-00000000-000000000000"


async def test_without_a_free_thread_until_the_deadline_nothing_was_begun(threads: BoundedThreads) -> None:
    go, begun = threading.Event(), []
    busy = asyncio.ensure_future(threads.run(go.wait))
    await asyncio.sleep(0)
    with context.entered(within(0.05)), pytest.raises(Overloaded):
        await threads.run(lambda: begun.append(1))
    go.set()
    await busy
    await threads.run(lambda: None)
    assert begun == []


async def test_work_that_takes_longer_than_the_deadline_has_an_unknown_outcome(threads: BoundedThreads) -> None:
    go = threading.Event()
    with context.entered(within(0.05)), pytest.raises(DeadlineExceeded):
        await threads.run(go.wait)
    go.set()
    assert await threads.run(lambda: "free again") == "free again"


async def test_after_the_deadline_nothing_is_begun(threads: BoundedThreads) -> None:
    begun: list[int] = []
    with context.entered(within(-1)), pytest.raises(DeadlineExceeded):
        await threads.run(lambda: begun.append(1))
    assert begun == []


async def test_a_caller_that_is_cancelled_while_it_waits_has_begun_nothing(threads: BoundedThreads) -> None:
    go, begun = threading.Event(), []
    busy = asyncio.ensure_future(threads.run(go.wait))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(threads.run(lambda: begun.append(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    await busy
    await threads.run(lambda: None)
    assert begun == []


async def test_a_caller_cancelled_in_the_turn_in_which_the_work_ends_stays_cancelled(threads: BoundedThreads) -> None:
    go, ended = threading.Event(), threading.Event()

    def work() -> str:
        go.wait(5)
        return "done"

    running = asyncio.ensure_future(threads.run(work))
    await asyncio.sleep(0)
    threads._executor.submit(ended.set)  # one thread: it is set when the work's answer is on its way to the loop
    go.set()
    assert ended.wait(5)
    await asyncio.sleep(0)  # the answer is copied to the loop's future; who waits for it is woken in the next turn
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
