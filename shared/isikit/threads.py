"""Worker threads for SDKs that block: a fixed number, and nobody waits for one longer than the request lives."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from isikit.errors import DeadlineExceeded, Overloaded
from isikit.host import context

T = TypeVar("T")

DEFAULT_SECONDS: Final = 30.0  # outside a request (deployment, tests) there is no deadline to inherit


class BoundedThreads:
    """A limiter and its threads. Each kind of call has its own, so that a rush of misses cannot starve hits.

    Parameters
    ----------
    name
        Of the threads, for stack dumps.
    size
        Calls at once. One more waits for its turn until its deadline.
    """

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread until the current request's deadline.

        Raises
        ------
        Overloaded
            No thread was free in time: `work` has not begun and never will.
        DeadlineExceeded
            `work` has begun; what it did by the end is not known. Its thread stays busy until it returns.
        """
        request = context.current_or_none()
        seconds = DEFAULT_SECONDS if request is None else request.deadline.remaining()
        if seconds <= 0:
            raise DeadlineExceeded
        future = self._executor.submit(contextvars.copy_context().run, work)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except asyncio.TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the work's own
            # The executor only cancels what no thread has taken up yet: exactly the calls that spent nothing.
            if future.cancel():
                raise Overloaded from error
            raise DeadlineExceeded from error

    def close(self) -> None:
        """Take no more work; calls that wait are cancelled, calls that run end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)
