"""One piece of work per key at a time in this process; whoever asks meanwhile shares its result or its error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0


class SingleFlight(Generic[T]):
    """Flights by key.

    The work belongs to all who wait for it: a caller who goes away (cancelled, out of time) takes nothing from the
    others, and when the last one goes the work is cancelled and has ended before that caller returns, because
    nothing may run when no request does. The work runs in the context (deadline, request id) of the first caller.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        """How many keys are being worked on."""
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        """Whether somebody works on `key`: a `run` now would be a follower."""
        return key in self._flights

    async def run(self, key: Hashable, factory: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the work on `key`, started with `factory` unless it is under way.

        Raises
        ------
        Exception
            Whatever the work raised, the same for all who waited.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.get_running_loop().create_task(factory()))
            self._flights[key] = flight
        flight.waiters += 1
        try:
            # Not awaited itself: cancelling a waiter must not cancel what it waits for.
            await asyncio.wait((flight.task,))
            return flight.task.result()
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 or flight.task.done():
                self._forget(key, flight)
            if flight.waiters == 0 and not flight.task.done():
                flight.task.cancel()
                await asyncio.wait((flight.task,))
                if not flight.task.cancelled():
                    flight.task.exception()  # nobody is left to hear of it

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        """Let the next caller start anew; the key may hold a newer flight already."""
        if self._flights.get(key) is flight:
            del self._flights[key]
