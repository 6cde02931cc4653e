"""One request at one instance: where its faults strike and its metrics row is written, whichever door it came by."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from localcloud.faults import Fault
from localcloud.fc.errors import FcError
from localcloud.fc.fleet import Fleet
from localcloud.fc.headers import Invocation
from localcloud.fc.instance import Instance
from localcloud.fc.metrics import HttpCall
from localcloud.fc.model import FunctionSpec

UNHANDLED = "UnhandledInvocationError"


@dataclass(slots=True)
class Attempt:
    """A request that has its place in `instance`. Callers set `error_type` and, over HTTP, `status`.

    `lost` is the fault that takes the answer away after the function gave it.
    """

    instance: Instance
    started_at: float
    lost: Fault | None = None
    error_type: str = ""
    status: int = 0

    @property
    def duration_ms(self) -> float:
        """Time since the instance was ready for the request."""
        return (time.monotonic() - self.started_at) * 1000

    def lose(self) -> None:
        """The function has done its work; its instance dies before the answer is out.

        Raises
        ------
        ConnectionResetError
            What the platform sees of it.
        """
        self.instance.kill("fault")
        raise ConnectionResetError("the instance was killed by an armed fault")


@contextlib.asynccontextmanager
async def serving(
    fleet: Fleet, spec: FunctionSpec, invocation: Invocation, http: HttpCall | None = None
) -> AsyncIterator[Attempt]:
    """Take a place in an instance for the time of the block.

    Faults of the operation `fc.instance` strike here; their subject is `{function} {path}` for HTTP calls and
    `{function}` for events.

    Raises
    ------
    FcError
        429, 412, or what an armed fault says.
    """
    asked_at = time.monotonic()
    fault = fleet.begin_fault("fc.instance", f"{spec.name} {http.path}" if http else spec.name)
    if fault is not None and fault.action == "error":
        code = fault.code or ("ResourceExhausted" if fault.status == 429 else "InternalServerError")
        raise FcError(fault.status, code, f"an armed fault answers for function '{spec.name}'")
    async with fleet.pool(spec).instance() as instance:
        attempt = Attempt(instance, time.monotonic())
        if fault is not None:
            await _strike(fleet, fault, attempt)
        try:
            yield attempt
        except asyncio.CancelledError:
            attempt.status = 499
            raise
        finally:
            fleet.metrics.write(spec, invocation, instance, asked_at, attempt, http)
            if fault is not None and fault.when == "after" and fault.action == "freeze":
                await _freeze(fleet, fault, instance)


async def _strike(fleet: Fleet, fault: Fault, attempt: Attempt) -> None:
    """`kill` before: SIGKILL before the request is sent; after: when the function has answered."""
    if fault.action == "delay":
        await asyncio.sleep(fault.seconds)
    elif fault.action == "freeze" and fault.when == "before":
        await _freeze(fleet, fault, attempt.instance)
    elif fault.action == "kill" and fault.when == "before":
        attempt.instance.kill("fault")
    elif fault.action == "kill":
        attempt.lost = fault


async def _freeze(fleet: Fleet, fault: Fault, instance: Instance) -> None:
    """Hold the processes by SIGSTOP while the services' clock moves by `seconds`; `value` is how long it really takes.

    Other requests in the same instance stand still with it.
    """
    instance.hold()
    try:
        fleet.move_clock(fault.seconds)
        await asyncio.sleep(float(fault.value or 0))
    finally:
        instance.let_go()
