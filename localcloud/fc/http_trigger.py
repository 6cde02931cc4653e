"""HTTP triggers: one listener per trigger, raw HTTP through to a web function."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any, Protocol

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from localcloud.account import Account
from localcloud.faults import Fault
from localcloud.fc import cors
from localcloud.fc.async_queue import AsyncQueue
from localcloud.fc.body import Body
from localcloud.fc.errors import FcError, invalid, not_built, response
from localcloud.fc.fleet import Fleet, failure, time_limit
from localcloud.fc.headers import Invocation, from_client, from_function, total_bytes
from localcloud.fc.invoke import Outcome
from localcloud.fc.metrics import HttpCall
from localcloud.fc.model import FunctionSpec, Trigger
from localcloud.fc.request_ids import new_request_id
from localcloud.fc.serving import UNHANDLED, serving
from localcloud.fc.signature import Nonces, verify
from localcloud.fc.trouble import suffer
from localcloud.relay import relay

HEADERS_LIMIT_BYTES = 8 * 1024
TARGET_LIMIT_BYTES = 4 * 1024
SYNC_LIMIT_BYTES = 32 * 1024 * 1024
ASYNC_LIMIT_BYTES = 128 * 1024
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")


class Functions(Protocol):
    """What the listener asks of the control plane."""

    def resolve(self, function: str, qualifier: str) -> FunctionSpec:
        """The state of a function behind a qualifier; `FcError` 404 when there is none."""


@dataclass(slots=True)
class HttpListener:
    """Answers requests of one HTTP trigger of one function."""

    function: str
    trigger: Trigger
    account: Account
    functions: Functions
    fleet: Fleet
    queue: AsyncQueue
    begin_fault: Any
    nonces: Nonces
    stall_seconds: float

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request, from the limits to the last byte. Refusals have the API's error shape."""
        return await self.handle_at(request, "")

    async def handle_at(self, request: web.Request, base_path: str) -> web.StreamResponse:
        """The same, for a URL whose path begins with `base_path`; the function is told of it."""
        invocation = Invocation(new_request_id(), self.trigger.qualifier, 0, request.remote or "127.0.0.1")
        invocation = replace(invocation, base_path=base_path)
        origin = request.headers.get("Origin", "")
        try:
            return await self._answer(request, invocation, origin)
        except FcError as error:
            refusal = self._refusal(error, invocation.request_id)
            if origin:
                cors.apply(refusal.headers, origin, self.trigger.config.get("corsConfig"))
            return refusal

    def _refusal(self, error: FcError, request_id: str) -> web.Response:
        return response(error, request_id)

    def _verify(self, request: web.Request, body: bytes) -> None:
        path, _, query = request.raw_path.partition("?")
        verify(
            self.account,
            self.nonces,
            method=request.method,
            raw_path=path,
            raw_query=query,
            headers=request.headers,
            body=body,
        )

    async def _answer(self, request: web.Request, invocation: Invocation, origin: str) -> web.StreamResponse:
        fault: Fault | None = self.begin_fault("fc.http", f"{self.function} {request.path}")
        if fault is not None and fault.when == "before":
            await suffer(fault, request)
        headers = self._check(request)
        if request.method == "OPTIONS" and "OPTIONS" not in self.trigger.config["methods"]:
            return cors.preflight(request, self.trigger.config["methods"], self.trigger.config.get("corsConfig"))
        if request.method not in self.trigger.config["methods"]:
            raise FcError(
                405, "MethodNotAllowed", f"the HTTP trigger of '{self.function}' does not list {request.method}"
            )
        body = await self._authenticate(request)
        spec = self.functions.resolve(self.function, self.trigger.qualifier)
        if request.headers.get("x-fc-invocation-type", "Sync") == "Async":
            return await self._accept(request, body, headers, invocation)
        unanswered = fault if fault is not None and fault.when == "after" else None
        return await self._forward(request, body, spec, headers, invocation, origin, unanswered)

    def _check(self, request: web.Request) -> CIMultiDict[str]:
        """The limits of the page web-functions: 400 InvalidArgument beyond any of them."""
        if total_bytes(request.headers) > HEADERS_LIMIT_BYTES:
            raise invalid(f"request headers are larger than {HEADERS_LIMIT_BYTES} bytes")
        if len(request.raw_path.encode("utf-8", "surrogateescape")) > TARGET_LIMIT_BYTES:
            raise invalid(f"path and query are larger than {TARGET_LIMIT_BYTES} bytes")
        if not request.raw_path.startswith("/"):
            raise invalid("the request target is not a path")
        if (request.content_length or 0) > SYNC_LIMIT_BYTES:
            raise invalid(f"the request body is larger than {SYNC_LIMIT_BYTES} bytes")
        if "Upgrade" in request.headers:
            raise not_built(f"protocol upgrades ({request.headers['Upgrade']})")
        if request.headers.get("x-fc-invocation-type", "Sync") not in ("Sync", "Async"):
            raise invalid("x-fc-invocation-type is Sync or Async")
        return from_client(request.headers)

    async def _authenticate(self, request: web.Request) -> Body:
        """Check the signature where the trigger wants one, which takes the whole body; otherwise leave it unread."""
        if self.trigger.config.get("disableURLInternet"):
            raise FcError(403, "AccessDenied", "access through the public URL is disabled")
        body = await Body.of(request, SYNC_LIMIT_BYTES, self.stall_seconds)
        if self.trigger.config["authType"] != "function":
            return body
        data = await body.read(SYNC_LIMIT_BYTES)
        self._verify(request, data)
        return Body(data if request.body_exists else None)

    async def _accept(
        self, request: web.Request, given: Body, headers: CIMultiDict[str], invocation: Invocation
    ) -> web.Response:
        """Queue the request: 202 now, the function later; what it answers then is not for the client."""
        body = await given.read(ASYNC_LIMIT_BYTES)
        method, target = request.method, request.raw_path
        call = HttpCall(method, request.path)
        headers.popall("Content-Length", None)

        async def run(attempt: Invocation) -> Outcome:
            spec = self.functions.resolve(self.function, self.trigger.qualifier)
            async with serving(self.fleet, spec, attempt, call) as place:
                instance = place.instance
                sent = headers.copy()
                sent.update(
                    self.fleet.control_headers(spec, replace(attempt, base_path=invocation.base_path), "/http-invoke")
                )
                try:
                    with time_limit(instance):
                        async with instance.call(method, target, sent, body) as answer:
                            text = await answer.read()
                            if place.lost is not None:
                                place.lose()
                            place.status = answer.status
                            failed = answer.status >= 500 or answer.headers.get("x-fc-status", "200") != "200"
                except (TimeoutError, aiohttp.ClientError, OSError):
                    await instance.see_whether_it_died()
                    text, failed = json.dumps(failure(instance, place.started_at)).encode(), True
                place.error_type = UNHANDLED if failed else ""
                return Outcome(text, place.error_type, instance.instance_id, place.duration_ms, b"")

        task_id = request.headers.get("x-fc-async-task-id", "")
        self.queue.submit(self.function, self.trigger.qualifier, run, invocation.request_id, task_id, body)
        return web.Response(status=202, headers={"x-fc-request-id": invocation.request_id})

    async def _forward(
        self,
        request: web.Request,
        body: Body,
        spec: FunctionSpec,
        headers: CIMultiDict[str],
        invocation: Invocation,
        origin: str,
        unanswered: Fault | None,
    ) -> web.StreamResponse:
        if body.buffered:
            headers.popall("Content-Length", None)
        async with serving(self.fleet, spec, invocation, HttpCall(request.method, request.path)) as attempt:
            instance = attempt.instance
            headers.update(self.fleet.control_headers(spec, invocation, "/http-invoke"))
            try:
                with time_limit(instance):
                    async with instance.call(request.method, request.raw_path, headers, body.sent()) as answer:
                        if unanswered is not None:
                            await answer.read()  # the function has done its work; its answer gets lost
                            await suffer(unanswered, request)
                        if attempt.lost is not None:
                            await answer.read()
                            attempt.lose()
                        attempt.status = answer.status
                        return await relay(request, answer, self._response_headers(answer, invocation, origin))
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                if request.transport is None or request.transport.is_closing():
                    raise asyncio.CancelledError from error  # the client is gone: nobody to answer
                await instance.see_whether_it_died()
                attempt.status, attempt.error_type = 502, UNHANDLED
                if body.refusal is not None:
                    attempt.status, attempt.error_type = body.refusal.status, ""
                    raise body.refusal from error
                raise FcError(502, UNHANDLED, failure(instance, attempt.started_at)["errorMessage"]) from error
            except asyncio.CancelledError:
                # The client went away (499). Only an instance that serves one request without a health check restarts.
                if spec.instance_concurrency == 1 and spec.health_check is None:
                    instance.condemn("invocation canceled by client")
                raise

    def _response_headers(
        self, answer: aiohttp.ClientResponse, invocation: Invocation, origin: str
    ) -> CIMultiDict[str]:
        headers = from_function(answer.headers)
        if total_bytes(headers) > HEADERS_LIMIT_BYTES:
            raise FcError(502, "BadResponse", f"response headers are larger than {HEADERS_LIMIT_BYTES} bytes")
        headers["x-fc-request-id"] = invocation.request_id
        if origin:
            cors.apply(headers, origin, self.trigger.config.get("corsConfig"))
        return headers
