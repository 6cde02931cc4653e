"""Blocking calls to the speech service: a fixed number at once, none longer than its deadline."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from isikit.errors import DeadlineExceeded, IsiError, Overloaded
from isikit.host.context import Deadline

T = TypeVar("T")


class Calls:
    """A limiter and its threads.

    A call that outlives its deadline is cut off: its connection is closed under it, so that its thread and its place
    at the service are free again. (`isikit.threads` lets such calls run out; storage calls are short and unlimited.)

    Parameters
    ----------
    name
        Of the threads, for stack dumps.
    size
        Calls at once; one more waits for its turn until its deadline.
    """

    def __init__(self, name: str, size: int) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, work: Callable[[], T], deadline: Deadline, cut: Callable[[], None] | None = None) -> T:
        """Run `work` in a thread.

        Parameters
        ----------
        cut
            Called on the event loop when the deadline passes, or the caller goes, while `work` runs. Makes `work`
            return soon; must not block.

        Raises
        ------
        Overloaded
            No thread was free in time: `work` never began.
        DeadlineExceeded
            `work` began, and was cut off.
        """
        seconds = deadline.remaining()
        if seconds <= 0:
            raise DeadlineExceeded
        future = self._executor.submit(contextvars.copy_context().run, work)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except asyncio.TimeoutError as error:
            if not self._stop(future.cancel(), cut):
                raise Overloaded from error
            raise DeadlineExceeded from error
        except asyncio.CancelledError:
            self._stop(future.cancel(), cut)
            raise
        except IsiError as error:
            if deadline.remaining() <= 0:  # the work noticed first
                raise DeadlineExceeded from error
            raise

    @staticmethod
    def _stop(never_began: bool, cut: Callable[[], None] | None) -> bool:
        if not never_began and cut is not None:
            cut()
        return not never_began

    def close(self) -> None:
        """Take no more work; calls that wait are cancelled."""
        self._executor.shutdown(wait=False, cancel_futures=True)
