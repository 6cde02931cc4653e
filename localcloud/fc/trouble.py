"""Faults on demand, as Function Compute's own failures, and which of them there are."""

from __future__ import annotations

import asyncio

from aiohttp import web

from localcloud.faults import Fault
from localcloud.fc.errors import FcError

_CALL = frozenset({"error", "drop", "delay"})
# Operation -> actions. Any operation of the OpenAPI (`fc.CreateFunction`) takes those of `_CALL` as well.
ACTIONS = {
    "fc.http": _CALL,
    "fc.instance": frozenset({"kill", "freeze", "delay", "error"}),
    "fc.cold_start": frozenset({"delay", "error"}),
    "fc.async": frozenset({"lose", "duplicate", "delay", "reorder"}),
    "fc.destination": frozenset({"lose"}),
}
_AFTER = frozenset({"kill", "freeze"})  # what can happen to an instance after it has answered


def check(operation: str, action: str, when: str, api: frozenset[str]) -> None:
    """Refuse a fault that would never strike or would not do what it says.

    Parameters
    ----------
    api
        Names of the OpenAPI's operations.

    Raises
    ------
    ValueError
        With what there is instead.
    """
    if not operation.startswith("fc."):
        return
    if operation == "fc.*" or operation.removeprefix("fc.") in api:
        actions = _CALL
    elif operation in ACTIONS:
        actions = ACTIONS[operation]
    else:
        raise ValueError(f"{operation} is not an operation: {', '.join(ACTIONS)}, fc.<operation of the OpenAPI>")
    if action not in actions:
        raise ValueError(f"{operation} has the actions {', '.join(sorted(actions))}, not {action!r}")
    if when == "after" and (operation == "fc.cold_start" or (operation == "fc.instance" and action not in _AFTER)):
        raise ValueError(f"{action} of {operation} happens before it takes effect")


async def suffer(fault: Fault, request: web.Request) -> None:
    """Let a fault strike a request: `delay` returns, `drop` closes the connection, anything else is an error.

    Raises
    ------
    FcError
        With the fault's status and code (`InternalServerError` when it has none).
    asyncio.CancelledError
        The connection is gone; there is nobody to answer.
    """
    if fault.action == "delay":
        await asyncio.sleep(fault.seconds)
    elif fault.action == "drop":
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError
    else:
        raise FcError(
            fault.status, fault.code or "InternalServerError", "an internal error has occurred. Please retry."
        )
