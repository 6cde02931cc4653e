"""The OSS service as an aiohttp application."""

from __future__ import annotations

import base64
import logging

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import Fault, Faults, Handler
from localcloud.oss import names
from localcloud.oss.authentication import Authenticator
from localcloud.oss.call import Call, Notify, Service
from localcloud.oss.errors import OssError
from localcloud.oss.handlers import HANDLERS
from localcloud.oss.operation import check_extras
from localcloud.oss.store import FileStore

_log = logging.getLogger(__name__)
_CALL = web.RequestKey("call", Call)


def make_app(store: FileStore, account: Account, faults: Faults, clock: Clock, notify: Notify) -> web.Application:
    """OSS over HTTP, path style and virtual-hosted.

    Parameters
    ----------
    store
        Closed when the application is cleaned up.
    faults
        Operations are named `oss.PutObject` and so on, their subject is `bucket/key`.
    notify
        Called on the event loop with the native event of every object-created commit, once, after the commit.
    """
    service = Service(store, account, clock, notify)
    door = _Door(service, Authenticator(account, clock))
    app = web.Application(middlewares=[door.answer, faults.middleware(_operation_of, _refuse)])
    app.router.add_route("*", r"/{tail:[\s\S]*}", door.serve, expect_handler=_defer_continue)

    async def close(_: web.Application) -> None:
        await service.drain()

    app.on_cleanup.append(close)
    return app


class _Door:
    """What every request passes: taken apart, authenticated, checked, handled, answered."""

    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._service = service
        self._authenticator = authenticator

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take the request apart, and give every answer its OSS headers and every failure its XML."""
        call = request[_CALL] = Call.of(request, self._service)
        try:
            response = await handler(request)
        except OssError as error:
            response = _refusal(call, error)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:  # noqa: BLE001 - OSS answers InternalError in XML, never a web framework's page
            _log.exception("%s failed", call.operation.name)
            response = _refusal(call, OssError("InternalError"))
        date = self._service.clock.http_date()
        response.headers.update({"Server": "AliyunOSS", "Date": date, "x-oss-request-id": call.request_id})
        return response

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle a request that no fault strikes."""
        call, service = request[_CALL], self._service
        call.caller = self._authenticator.identify(call.target, call.headers)
        if call.bucket:
            names.check_bucket_name(call.bucket)
        if call.key:
            names.check_key(call.key)
        names.check_query(call.target.query)
        if call.caller is None:
            if call.bucket:
                await service.threads.run(service.store.bucket, call.bucket)
            raise OssError("AccessDenied", "You have no right to access this object because of bucket acl.")
        check_extras(call.operation, call.target, call.headers)
        return await HANDLERS[call.operation.name](call)


def _operation_of(request: web.Request) -> tuple[str, str]:
    call = request[_CALL]
    return f"oss.{call.operation.name}", f"{call.bucket}/{call.key}"


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
