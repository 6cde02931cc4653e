"""Event invocations: `POST /invoke` to an instance, and what becomes of its answer."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass

import aiohttp

from localcloud.fc.errors import FcError
from localcloud.fc.fleet import Fleet, failure, time_limit
from localcloud.fc.headers import Invocation
from localcloud.fc.model import FunctionSpec

UNHANDLED = "UnhandledInvocationError"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event invocation came to. `error_type` is empty on success; `tail` is the end of the instance's log."""

    body: bytes
    error_type: str
    instance_id: str
    duration_ms: float
    tail: bytes


async def invoke_event(fleet: Fleet, spec: FunctionSpec, event: bytes, invocation: Invocation) -> Outcome:
    """Run one event through a function.

    Only the body of the answer counts: its status and headers are dropped (page web-functions, 2025-08), except that
    `x-fc-status: 404` marks a failed invocation and HTTP 500 a failed instance, which is replaced.

    Raises
    ------
    FcError
        429, or 412 when no instance could be started.
    """
    try:
        async with fleet.pool(spec).instance() as instance:
            started_at = time.monotonic()
            headers = fleet.control_headers(spec, invocation, "/invoke")
            headers["Content-Type"] = "application/octet-stream"
            error_type = ""
            try:
                with time_limit(instance):
                    async with instance.call("POST", "/invoke", headers, io.BytesIO(event)) as answer:
                        body = await answer.read()
                        status = answer.status
                        if status >= 500:
                            instance.condemn(f"answered {status} to an event")
                        if status >= 500 or answer.headers.get("x-fc-status", "200") != "200":
                            error_type = UNHANDLED
            except (TimeoutError, aiohttp.ClientError, OSError):
                await instance.see_whether_it_died()
                body, error_type = json.dumps(failure(instance, started_at)).encode(), UNHANDLED
            duration_ms = (time.monotonic() - started_at) * 1000
            return Outcome(body, error_type, instance.instance_id, duration_ms, instance.tail())
    except FcError as error:
        if error.code != "InitializationError":
            raise
        text = json.dumps({"errorMessage": error.message, "errorType": error.code}).encode()
        return Outcome(text, error.code, "", 0.0, b"")
