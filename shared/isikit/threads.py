"""Worker threads for SDKs that block: a fixed number, and nobody waits for one longer than the deadline."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from isikit.errors import DeadlineExceeded, IsiError, Overloaded
from isikit.host import context
from isikit.host.context import Deadline

T = TypeVar("T")

DEFAULT_SECONDS: Final = 30.0  # outside a request (deployment, tests) there is no deadline to inherit


def current_deadline() -> Deadline:
    """The current request's, or `DEFAULT_SECONDS` from now outside of one."""
    request = context.current_or_none()
    return Deadline.after(DEFAULT_SECONDS) if request is None else request.deadline


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

    async def run(
        self, work: Callable[[], T], deadline: Deadline | None = None, cut: Callable[[], None] | None = None
    ) -> T:
        """Run `work` in a thread until the deadline.

        Parameters
        ----------
        deadline
            The current request's when it is left out.
        cut
            Called on the event loop when the deadline passes, or the caller goes, while `work` runs. Makes `work`
            return soon, so that its thread is free again; must not block. Without it `work` runs out by itself.

        Raises
        ------
        Overloaded
            No thread was free in time: `work` has not begun and never will.
        DeadlineExceeded
            `work` has begun; what it did by the end is not known.
        """
        deadline = deadline or current_deadline()
        deadline.check()
        future = self._executor.submit(contextvars.copy_context().run, work)
        try:
            # Not wait_for: it forgets a cancellation that comes in the turn in which the work ends [Python 3.11].
            async with asyncio.timeout(deadline.remaining()) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            if not _begun(future.cancel(), cut):
                raise Overloaded from error
            raise DeadlineExceeded from error
        except asyncio.CancelledError:
            _begun(future.cancel(), cut)
            raise
        except IsiError as error:
            if error.retryable and deadline.remaining() <= 0:  # the work noticed first
                raise DeadlineExceeded from error
            raise

    def close(self) -> None:
        """Take no more work; calls that wait are cancelled, calls that run end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _begun(cancelled: bool, cut: Callable[[], None] | None) -> bool:
    """Whether the work had begun, and was cut. The executor cancels only what no thread has taken up yet."""
    if not cancelled and cut is not None:
        cut()
    return not cancelled
