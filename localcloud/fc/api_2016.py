"""The invoke API 2016-08-15 of FC 2.0, for functions that FC 3.0 shows as `service$function`.

A function born in 3.0 has no service: no path of this API names it, so it is 404 here. The control plane of 2016-08-15
(services, functions, triggers ...) is 501: functions are deployed through 2023-03-30.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from localcloud.fc.body import Body
from localcloud.fc.errors import FcError, function_not_found, invalid, not_built, too_large
from localcloud.fc.headers import Invocation
from localcloud.fc.http_trigger import ASYNC_LIMIT_BYTES, SYNC_LIMIT_BYTES, HttpListener
from localcloud.fc.invoke import invoke_event
from localcloud.fc.model import LATEST, MIGRATED, Trigger
from localcloud.fc.request_ids import new_request_id
from localcloud.fc.signature import Nonces
from localcloud.fc.signature_2016 import verify
from localcloud.fc.trouble import suffer

if TYPE_CHECKING:
    from localcloud.fc.fleet import Platform
    from localcloud.fc.service import FunctionCompute

PREFIX = "/2016-08-15/"
_INVOCATIONS = re.compile(r"/2016-08-15/services/([^/]*)/functions/([^/]+)/invocations")
_PROXY = re.compile(r"(/2016-08-15/proxy/([^/]+)/([^/]+))(/.*)?")
_TEMP_BUCKET = "/2016-08-15/tempBucketToken"
_BUILT_ELSEWHERE = re.compile(r"/2016-08-15/(services|custom-domains|layers|tag|tags|reserved-capacities)(/.*)?")


class Api2016:
    """Answers every path below `/2016-08-15/`."""

    def __init__(self, service: FunctionCompute, platform: Platform, nonces: Nonces) -> None:
        self._service = service
        self._platform = platform
        self._nonces = nonces

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request; refusals are `{"ErrorCode", "ErrorMessage"}`."""
        request_id = new_request_id()
        try:
            return await self._answer(request, request_id)
        except FcError as error:
            return refusal(error, request_id)

    async def _answer(self, request: web.Request, request_id: str) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        proxied = _PROXY.fullmatch(path)
        if proxied is not None:
            return await self._proxy(request, unquote(proxied.group(2)), unquote(proxied.group(3)), proxied.group(1))
        body = await (await Body.of(request, SYNC_LIMIT_BYTES, self._platform.stall_seconds)).read(SYNC_LIMIT_BYTES)
        verify(
            self._platform.account,
            method=request.method,
            raw_path=path,
            raw_query=None,
            headers=request.headers,
            body=body,
        )
        invoked = _INVOCATIONS.fullmatch(path)
        if invoked is not None and request.method == "POST":
            return await self._invoke(request, request_id, unquote(invoked.group(1)), unquote(invoked.group(2)), body)
        if path == _TEMP_BUCKET and request.method == "GET":
            return await self._temp_bucket_token(request_id)
        if _BUILT_ELSEWHERE.fullmatch(path):
            raise not_built(f"{request.method} {path} of the API 2016-08-15; deploy through 2023-03-30")
        raise FcError(404, "PathNotSupported", f"'{path}' against '{request.method}' is not supported")

    def _function(self, service_part: str, function: str) -> tuple[str, str]:
        """The 3.0 name and the qualifier that `service.qualifier` and `function` stand for."""
        service, _, qualifier = service_part.partition(".")
        name = f"{service}{MIGRATED}{function}"
        known = self._service.registry.functions
        if not any(other.startswith(service + MIGRATED) for other in known):
            raise FcError(404, "ServiceNotFound", f"service '{service}' does not exist")
        if name not in known:
            raise function_not_found(f"{service}{MIGRATED}{function}")
        return name, qualifier or LATEST

    async def _invoke(
        self, request: web.Request, request_id: str, service_part: str, function: str, body: bytes
    ) -> web.StreamResponse:
        name, qualifier = self._function(service_part, function)
        fault = self._platform.faults.begin("fc.InvokeFunction", name)
        if fault is not None and fault.when == "before":
            await suffer(fault, request)
        spec = self._service.registry.resolve(name, qualifier)
        kind = request.headers.get("x-fc-invocation-type", "Sync")
        if kind not in ("Sync", "Async"):
            raise invalid("x-fc-invocation-type is Sync or Async")
        if request.headers.get("x-fc-stateful-async-invocation-id"):
            raise not_built("stateful asynchronous invocation")
        if kind == "Async":
            if len(body) > ASYNC_LIMIT_BYTES:
                raise too_large(ASYNC_LIMIT_BYTES)
            self._service.submit(name, qualifier, body, request_id)
            answer = web.Response(status=202, headers={"x-fc-request-id": request_id})
        else:
            outcome = await invoke_event(self._service.fleet, spec, body, Invocation(request_id, qualifier))
            headers = {
                "Content-Type": "application/octet-stream",
                "x-fc-request-id": request_id,
                "x-fc-invocation-duration": f"{outcome.duration_ms:.2f}",
                "x-fc-code-checksum": spec.code.checksum,
                "x-fc-invocation-service-version": spec.version,
                "x-fc-instance-id": outcome.instance_id,
            }
            if outcome.error_type:
                headers["x-fc-error-type"] = outcome.error_type
            if request.headers.get("x-fc-log-type") == "Tail" and spec.instance_concurrency == 1:
                headers["x-fc-log-result"] = base64.b64encode(outcome.tail).decode()
            answer = web.Response(body=outcome.body, headers=headers)
        if fault is not None:
            await suffer(fault, request)
        return answer

    async def _proxy(
        self, request: web.Request, service_part: str, function: str, base_path: str
    ) -> web.StreamResponse:
        """An HTTP function by its API path: the function sees the whole path, and in `x-fc-base-path` what to strip."""
        name, qualifier = self._function(service_part, function)
        for trigger in self._service.registry.functions[name].triggers.values():
            if trigger.kind == "http" and trigger.qualifier == qualifier:
                listener = self._service.listener(name, trigger, _Proxied)
                return await listener.handle_at(request, base_path)
        raise FcError(404, "TriggerNotFound", f"function '{name}' has no HTTP trigger for {qualifier}")

    async def _temp_bucket_token(self, request_id: str) -> web.Response:
        place = self._platform.code_store
        if place is None:
            raise not_built("tempBucketToken without an object store")
        session = self._platform.account.open_session("fc-temp-code", 3600.0)
        answer = {
            "credentials": {
                "AccessKeyId": session.access_key_id,
                "AccessKeySecret": session.access_key_secret,
                "SecurityToken": session.security_token,
                "Expiration": self._service.registry.at(session.expires_at or 0.0),
            },
            "ossRegion": self._platform.account.region,
            "ossBucket": await self._platform.in_thread(place.temporary_bucket),
            "objectName": request_id,
        }
        return web.json_response(answer, headers={"x-fc-request-id": request_id})


class _Proxied(HttpListener):
    """An HTTP trigger by its API path: signatures and errors of 2016-08-15."""

    __slots__ = ()

    trigger: Trigger

    def _verify(self, request: web.Request, body: bytes) -> None:
        path, _, query = request.raw_path.partition("?")
        verify(self.account, method=request.method, raw_path=path, raw_query=query, headers=request.headers, body=body)

    def _refusal(self, error: FcError, request_id: str) -> web.Response:
        return refusal(error, request_id)


def refusal(error: FcError, request_id: str) -> web.Response:
    """An error as the API 2016-08-15 answers it."""
    body = {"ErrorCode": error.code, "ErrorMessage": error.message}
    return web.json_response(body, status=error.status, headers={"x-fc-request-id": request_id})
