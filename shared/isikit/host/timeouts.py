"""Time limits for what nearly always ends in time, such as a request: one timer of the event loop for all of them.

`asyncio.timeout` makes a timer and cancels it again for every use: 7 microseconds, twice a request. Here one timer is
set for the earliest end. Who ends in time leaves it alone; when it rings, it is set for the earliest that is left.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

_EARLY_SECONDS = 0.001
"""uvloop's timers count whole milliseconds."""


class TimeLimit:
    """`with TimeLimit(seconds):` cancels the block when its time is over, and raises TimeoutError out of it then.

    Like `asyncio.timeout` otherwise: only for the current task, and not to be used again.

    Parameters
    ----------
    seconds
        By the event loop's clock. With 0 or less it ends where the block first waits.
    """

    __slots__ = ("_cancelling", "_clock", "_seconds", "_task", "at", "is_over")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_over = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("only inside of a task")
        self._task, self._cancelling = task, task.cancelling()
        self.at = loop.time() + self._seconds
        self._clock = _clock_of(loop)
        self._clock.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.remove(self)
        # Where somebody else has cancelled the task as well, it stays cancelled.
        if self.is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end(self) -> None:
        """Cancel the block."""
        self.is_over = True
        self._task.cancel()


class _Clock:
    """The limits that run in an event loop, and their timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._running: set[TimeLimit] = set()
        self._rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, limit: TimeLimit) -> None:
        self._running.add(limit)
        if limit.at < self._rings_at:
            self._set(limit.at)

    def remove(self, limit: TimeLimit) -> None:
        self._running.discard(limit)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = self.loop.call_at(at, self._ring)

    def _ring(self) -> None:
        now = self.loop.time() + _EARLY_SECONDS
        for limit in [limit for limit in self._running if limit.at <= now]:
            self._running.discard(limit)
            limit.end()
        self._rings_at, self._timer = math.inf, None
        if self._running:
            self._set(min(limit.at for limit in self._running))


_latest: _Clock | None = None  # a process has one event loop; where tests have several, each goes on with its own


def _clock_of(loop: asyncio.AbstractEventLoop) -> _Clock:
    global _latest
    if _latest is None or _latest.loop is not loop:
        _latest = _Clock(loop)
    return _latest
