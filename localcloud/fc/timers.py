"""Timer triggers follow the services' clock, whether time passes or `POST /clock` moves it.

A move that passes several due times of a trigger fires it once, for the last of them: the cloud would have fired each
in its time, but a move is a jump and not the time between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from localcloud.fc import cron
from localcloud.fc.model import Function, Trigger

_PERIOD_SECONDS = 0.2
_LATE_STEPS = 1000


class Timers:
    """Fires timer triggers when they are due. Create it inside a running event loop.

    Parameters
    ----------
    functions
        All functions, as they are now.
    now
        The services' clock.
    fire
        Called with the function's name, the trigger and the due time (epoch seconds).
    """

    def __init__(
        self,
        functions: dict[str, Function],
        now: Callable[[], float],
        fire: Callable[[str, Trigger, float], object],
    ) -> None:
        self._functions = functions
        self._now = now
        self._fire = fire
        self._due: dict[str, tuple[str, float]] = {}  # trigger id -> its expression and when it is due
        self._task = asyncio.get_running_loop().create_task(self._run())

    def tick(self) -> None:
        """Fire what is due; a trigger that is new, changed or enabled again counts from now."""
        now, known, self._due = self._now(), self._due, {}
        for function, trigger in self._enabled():
            expression = trigger.config["cronExpression"]
            following = cron.parse(expression)
            before, due = known.get(trigger.trigger_id, ("", 0.0))
            if before != expression:
                due = following(now)
            if due <= now:
                fired_for, due = self._catch_up(following, due, now)
                self._due[trigger.trigger_id] = (expression, due)
                self._fire(function, trigger, fired_for)
            self._due[trigger.trigger_id] = (expression, due)

    async def close(self) -> None:
        """Fire nothing any more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @staticmethod
    def _catch_up(following: cron.Next, due: float, now: float) -> tuple[float, float]:
        """The last due time that has passed, and the first that has not."""
        for _ in range(_LATE_STEPS):
            after = following(due)
            if after > now:
                return due, after
            due = after
        return due, following(now)

    def _enabled(self) -> Iterator[tuple[str, Trigger]]:
        for function in list(self._functions.values()):
            for trigger in list(function.triggers.values()):
                if trigger.kind == "timer" and trigger.config["enable"]:
                    yield function.name, trigger

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            self.tick()
