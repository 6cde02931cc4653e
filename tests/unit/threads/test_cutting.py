"""Blocking calls with a deadline of their own: what outlives it is cut off, and what never began is not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from isikit.errors import DeadlineExceeded, Overloaded, SpeechBusy
from isikit.host.context import Deadline
from isikit.threads import BoundedThreads


async def test_work_runs_in_a_thread_of_that_name() -> None:
    threads = BoundedThreads("cutting-test", 1)
    name = await threads.run(lambda: threading.current_thread().name, Deadline.after(5))
    assert name.startswith("cutting-test")
    threads.close()


async def test_its_error_is_the_callers() -> None:
    def work() -> None:
        raise SpeechBusy

    threads = BoundedThreads("cutting-test", 1)
    with pytest.raises(SpeechBusy):
        await threads.run(work, Deadline.after(5))
    threads.close()


async def test_work_beyond_the_deadline_is_cut_off() -> None:
    gone = threading.Event()
    threads = BoundedThreads("cutting-test", 1)
    with pytest.raises(DeadlineExceeded):
        await threads.run(lambda: gone.wait(10), Deadline.after(0.1), gone.set)
    assert await threads.run(lambda: 7, Deadline.after(5)) == 7
    threads.close()


async def test_work_that_never_began_is_overloaded_and_is_not_cut() -> None:
    gone, cut = threading.Event(), threading.Event()
    threads = BoundedThreads("cutting-test", 1)
    first = asyncio.create_task(threads.run(lambda: gone.wait(10), Deadline.after(10)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await threads.run(lambda: 7, Deadline.after(0.1), cut.set)
    gone.set()
    assert await first
    assert not cut.is_set()
    threads.close()


async def test_a_cancelled_caller_cuts_its_work_off() -> None:
    began, gone = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gone.wait(10)

    threads = BoundedThreads("cutting-test", 1)
    task = asyncio.create_task(threads.run(work, Deadline.after(10), gone.set))
    await asyncio.to_thread(began.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone.is_set()
    threads.close()


async def test_a_passed_deadline_begins_nothing() -> None:
    threads = BoundedThreads("cutting-test", 1)
    with pytest.raises(DeadlineExceeded):
        await threads.run(lambda: pytest.fail("it began"), Deadline.after(-1))
    threads.close()
