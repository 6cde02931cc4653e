"""Event invocations: `POST /invoke` to an instance, and what becomes of its answer."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import aiohttp

from localcloud.fc.errors import FcError
from localcloud.fc.fleet import Fleet, failure, time_limit
from localcloud.fc.headers import Invocation
from localcloud.fc.model import FunctionSpec
from localcloud.fc.serving import UNHANDLED, serving


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
        async with serving(fleet, spec, invocation) as attempt:
            instance = attempt.instance
            headers = fleet.control_headers(spec, invocation, "/invoke")
            headers["Content-Type"] = "application/octet-stream"
            try:
                with time_limit(instance):
                    async with instance.call("POST", "/invoke", headers, io.BytesIO(event)) as answer:
                        body = await answer.read()
                        if attempt.lost is not None:
                            attempt.lose()
                        status = answer.status
                        if status >= 500:
                            instance.condemn(f"answered {status} to an event")
                        if status >= 500 or answer.headers.get("x-fc-status", "200") != "200":
                            attempt.error_type = UNHANDLED
            except (TimeoutError, aiohttp.ClientError, OSError):
                await instance.see_whether_it_died()
                attempt.error_type = UNHANDLED
                body = json.dumps(failure(instance, attempt.started_at)).encode()
            return Outcome(body, attempt.error_type, instance.instance_id, attempt.duration_ms, instance.tail())
    except FcError as error:
        if error.code != "InitializationError":
            raise
        text = json.dumps({"errorMessage": error.message, "errorType": error.code}).encode()
        return Outcome(text, error.code, "", 0.0, b"")
