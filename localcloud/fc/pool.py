"""Instances of one state of one function: how many there are, and which one takes a request."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from localcloud.fc.errors import FcError, exhausted
from localcloud.fc.instance import GONE, READY, STARTING, STOPPING, Instance
from localcloud.fc.model import FunctionSpec


class Pool:
    """Instances of one `FunctionSpec`.

    A request goes to the oldest ready instance with room, else to one that is starting and has room, else a further
    instance is started unless `may_grow` says no (429).

    Parameters
    ----------
    start
        Runs a new instance until it answers.
    may_grow
        Whether the function may have one more instance (reserved concurrency, the region's quota).
    """

    def __init__(
        self,
        spec: FunctionSpec,
        start: Callable[[Instance], Awaitable[None]],
        may_grow: Callable[[], bool],
        *,
        freeze: bool,
    ) -> None:
        self.spec = spec
        self.instances: list[Instance] = []
        self.minimum = 0
        self.retired = False
        self._start = start
        self._may_grow = may_grow
        self._freeze = freeze
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def instance(self) -> AsyncIterator[Instance]:
        """A thawed instance with a place taken in it for the time of the block.

        Raises
        ------
        FcError
            429 when no further instance may be started, 412 when one cannot be started.
        """
        instance = self._with_room() or self._grow()
        instance.in_flight += 1
        try:
            await asyncio.shield(instance.started)
            instance.thaw()
            yield instance
        finally:
            instance.in_flight -= 1
            self._settle(instance)

    def set_minimum(self, count: int) -> None:
        """Keep at least `count` instances (scaling configuration `minInstances`), frozen while idle."""
        self.minimum = count
        self._fill()

    def reclaim(self, idle_seconds: float) -> None:
        """Stop instances that have been idle for `idle_seconds`, down to the minimum."""
        ready = [instance for instance in self.instances if instance.state == READY]
        surplus = len(ready) - self.minimum
        for instance in ready[::-1]:
            if surplus > 0 and instance.in_flight == 0 and time.monotonic() - instance.idle_since >= idle_seconds:
                surplus -= 1
                self._begin_stop(instance)

    def retire(self) -> None:
        """Take no more requests: the function has changed. Idle instances stop now, busy ones when they are done."""
        self.retired = True
        self.minimum = 0
        for instance in list(self.instances):
            if instance.in_flight == 0 and instance.state == READY:
                self._begin_stop(instance)

    async def close(self) -> None:
        """Stop every instance in good order."""
        self.retired = True
        self.minimum = 0
        for instance in self.instances:
            if instance.state == STARTING:
                instance.kill("closing")
        await asyncio.gather(*(instance.stop() for instance in self.instances), return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """End every process at once."""
        for instance in self.instances:
            instance.kill("closing")

    def _with_room(self) -> Instance | None:
        for state in (READY, STARTING):
            for instance in self.instances:
                if instance.state == state and instance.has_room():
                    return instance
        return None

    def _grow(self) -> Instance:
        if not self._may_grow():
            raise exhausted(f"the concurrency limit of function '{self.spec.name}' is reached")
        return self._launch()

    def _launch(self) -> Instance:
        instance = Instance(self.spec, freeze=self._freeze)
        self.instances.append(instance)
        self._spawn(self._run(instance))
        return instance

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, instance: Instance) -> None:
        """Start an instance, tell those who wait for it, and clear up when its process has ended."""
        try:
            await self._start(instance)
        except (FcError, OSError, RuntimeError) as error:
            instance.kill("failed to start")
            instance.started.set_exception(error)
            instance.started.exception()  # seen, even when nobody waits for it
        else:
            instance.open()
            instance.started.set_result(None)
            self._settle(instance)
        if instance.child is not None:
            await instance.child.wait()
        instance.state = GONE
        if instance in self.instances:
            self.instances.remove(instance)
        await instance.release_resources()
        if not instance.started.exception():
            self._fill()

    def _settle(self, instance: Instance) -> None:
        if instance.in_flight:
            return
        if instance.state == STOPPING and instance.killed_for:
            instance.kill(instance.killed_for)
        elif self.retired and instance.state == READY:
            self._begin_stop(instance)
        else:
            instance.rest()

    def _begin_stop(self, instance: Instance) -> None:
        # Not ready from now on: nobody must be sent there while the pre-stop hook has yet to begin.
        instance.state = STOPPING
        self._spawn(instance.stop())

    def _fill(self) -> None:
        while not self.retired and len(self.instances) < self.minimum and self._may_grow():
            self._launch()
