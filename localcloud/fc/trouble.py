"""Faults on demand, as Function Compute's own failures."""

from __future__ import annotations

import asyncio

from aiohttp import web

from localcloud.faults import Fault
from localcloud.fc.errors import FcError


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
