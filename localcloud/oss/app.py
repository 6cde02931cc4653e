"""The OSS service as an aiohttp application."""

from __future__ import annotations

import asyncio
import base64
import logging

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import FAULT, Fault, Faults, Handler
from localcloud.oss import names
from localcloud.oss.authentication import Authenticator
from localcloud.oss.call import Call, Notify, Service
from localcloud.oss.errors import OssError
from localcloud.oss.expiry import expire
from localcloud.oss.handlers import HANDLERS
from localcloud.oss.handlers.settings import allow_origin
from localcloud.oss.operation import check_extras
from localcloud.oss.store import FileStore

_log = logging.getLogger(__name__)
_CALL = web.RequestKey("call", Call)
_UNSIGNED = ("PostObject", "OptionObject")  # a form carries its own signature, a preflight none
# Calls on a bucket that are about its objects. OSS does not publish the list: which listings belong to it is assumed.
_BUCKET_DATA = ("PostObject", "DeleteMultipleObjects", "ListObjects", "ListObjectsV2", "ListObjectVersions")
STALL_SECONDS = 60.0
_DAY_SECONDS = 86_400
PUBLIC_ENDPOINT_FORBIDDEN = "public_endpoint_forbidden"
"""The action of a fault that makes data calls be refused as they are on a new account's public endpoint."""


def make_app(
    store: FileStore,
    account: Account,
    faults: Faults,
    clock: Clock,
    notify: Notify,
    *,
    stall_seconds: float = STALL_SECONDS,
) -> web.Application:
    """OSS over HTTP, path style and virtual-hosted.

    Parameters
    ----------
    store
        Closed when the application is cleaned up.
    faults
        Operations are named `oss.PutObject` and so on, their subject is `bucket/key`.
    notify
        Called on the event loop with the native event of every object-created commit, once, after the commit.
    stall_seconds
        A client that sends nothing for so long in mid-body is answered `RequestTimeout` and dropped.
    """
    service = Service(store, account, clock, notify, Authenticator(account, clock), stall_seconds)
    door = _Door(service)
    app = web.Application(middlewares=[door.answer, faults.middleware(_operation_of, _refuse)])
    app.router.add_route("*", r"/{tail:[\s\S]*}", door.serve, expect_handler=_defer_continue)

    async def close(_: web.Application) -> None:
        await service.drain()

    app.on_cleanup.append(close)
    return app


class _Door:
    """What every request passes: taken apart, authenticated, checked, handled, answered."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._expired_on = -1  # the day, counted from the epoch, on which lifecycle rules were last carried out
        self._expiring = asyncio.Lock()

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take the request apart, and give every answer its OSS headers and every failure its XML."""
        call = request[_CALL] = Call.of(request, self._service)
        try:
            await self._expire()
            response = await handler(request)
        except OssError as error:
            response = _refusal(call, error)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:  # noqa: BLE001 - OSS answers InternalError in XML, never a web framework's page
            _log.exception("%s failed", call.operation.name)
            response = _refusal(call, OssError("InternalError"))
        date = self._service.clock.http_date()
        response.headers.update(await allow_origin(call))
        response.headers.update({"Server": "AliyunOSS", "Date": date, "x-oss-request-id": call.request_id})
        return response

    async def _expire(self) -> None:
        """Carry out lifecycle rules on the first request of every day (UTC), before it sees anything.

        Rules come due at midnight only, so no client can tell this from a clock that is watched; a test that moves the
        clock finds done what is due when its next request is answered.
        """
        async with self._expiring:
            today = int(self._service.clock.now() // _DAY_SECONDS)
            if today > self._expired_on:
                await self._service.threads.run(expire, self._service.store, self._service.clock.now())
                self._expired_on = today

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle a request that no fault strikes."""
        call, service = request[_CALL], self._service
        call.caller = service.authenticator.identify(call.target, call.headers)
        _check_endpoint(call, request.get(FAULT))
        if call.bucket:
            names.check_bucket_name(call.bucket)
        if call.key:
            names.check_key(call.key)
        names.check_query(call.target.query)
        if call.caller is None and call.operation.name not in _UNSIGNED:
            if call.bucket:
                await service.threads.run(service.store.bucket, call.bucket)
            raise OssError("AccessDenied", "You have no right to access this object because of bucket acl.")
        check_extras(call.operation, call.target, call.headers)
        return await HANDLERS[call.operation.name](call)


def _operation_of(request: web.Request) -> tuple[str, str]:
    call = request[_CALL]
    return f"oss.{call.operation.name}", f"{call.bucket}/{call.key}"


def _is_data(call: Call) -> bool:
    return call.operation.level == "object" or call.operation.name in _BUCKET_DATA


def _check_endpoint(call: Call, fault: Fault | None) -> None:
    """Refuse a data call by the endpoint that it came in by, if a fault says so (its `value`: the host's beginning)."""
    if fault is None or fault.action != PUBLIC_ENDPOINT_FORBIDDEN or not _is_data(call):
        return
    if call.host.startswith(fault.value):
        raise OssError("PublicEndpointForbidden")


def _refuse(request: web.Request, fault: Fault) -> web.Response:
    code = fault.code or ("ServiceUnavailable" if fault.status == 503 else "InternalError")
    # 500 is what a fault says that was armed without a status: then a code brings its own.
    return _refusal(request[_CALL], OssError(code, fault.value, status=0 if fault.status == 500 else fault.status))


async def _defer_continue(request: web.Request) -> None:
    """Send no `100 Continue` yet: the handler does when it wants the body."""


def _refusal(call: Call, error: OssError) -> web.Response:
    headers = dict(error.headers)
    if error.status == 304:
        return web.Response(status=304, headers=headers)
    body = error.xml(call.request_id, call.host)
    if error.ec:
        headers["x-oss-ec"] = error.ec
    if call.target.method == "HEAD":  # no body can say why, so a header does
        headers["x-oss-err"] = base64.b64encode(body).decode()
        body = b""
    response = web.Response(status=error.status, body=body, headers=headers, content_type="application/xml")
    if call.request.can_read_body and not call.request.content.at_eof():
        response.force_close()  # the rest of the body was not read and will not be
    return response
