"""The POP service as an aiohttp application: RPC calls at `/`, by GET and POST."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import Any

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines import Engine
from localcloud.faults import FAULT, Fault, Faults, Handler
from localcloud.pop import acs3, actions
from localcloud.pop.errors import PopError
from localcloud.pop.filetrans import FILETRANS, FileLimits, FileService
from localcloud.pop.gateway import Gateway, RpcRequest

_log = logging.getLogger(__name__)
_ID = web.RequestKey("request_id", str)
_RPC = web.RequestKey("rpc", RpcRequest)
_FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 1024 * 1024  # POP's own limit is not documented
BODY_SECONDS = 10.0
UNREAD = (408, 413)  # the rest of the body was not read: the connection cannot be used again


def make_app(
    account: Account,
    faults: Faults,
    clock: Clock,
    engine: Engine | None = None,
    *,
    limits: FileLimits | None = None,
) -> web.Application:
    """CreateToken, AssumeRole, and with an engine SubmitTask and GetTaskResult, behind POP's signatures.

    Faults: operations are named `pop.CreateToken` and so on, the subject is the AccessKeyId and the TaskId or Task.
    Besides the usual actions, `business` fails inside an HTTP 200 with the fault's `code` (ErrCode, StatusCode) and
    `value` (ErrMsg), and `empty` answers HTTP 200 with nothing but a RequestId; `error` takes a `code` such as
    `Throttling.User`, which brings its own status, and `life` makes a token that lives `seconds`. For the faults of
    tasks and callbacks see `filetrans.service`.
    """
    gateway = Gateway(account, clock)
    files = None if engine is None else FileService(engine, faults, clock, limits)

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_ID] = str(uuid.uuid4()).upper()
        try:
            request[_RPC] = await _rpc_of(request)
            response = await handler(request)
        except PopError as error:
            response = _refusal(request, error)
            if error.status in UNREAD:
                response.force_close()
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:  # noqa: BLE001 - POP answers JSON, never a web framework's page
            _log.exception("a POP call failed")
            response = _refusal(request, PopError("InternalError"))
        response.headers.update({"Date": clock.http_date(), "x-acs-request-id": request[_ID]})
        return response

    async def serve(request: web.Request) -> web.Response:
        key = gateway.admit(request[_RPC])
        call = actions.Call(account, key, request[_RPC], files)
        action = actions.find(call.request)
        fault: Fault | None = request.get(FAULT)
        return _json({**actions.perform(action, call, fault), "RequestId": request[_ID]})

    def operation_of(request: web.Request) -> tuple[str, str]:
        call = request[_RPC]
        return f"pop.{call.get('Action')}", " ".join(call.get(name) for name in ("AccessKeyId", "TaskId", "Task"))

    def refuse(request: web.Request, fault: Fault) -> web.Response:
        code = fault.code or {400: "Throttling.User", 503: "ServiceUnavailable"}.get(fault.status, "InternalError")
        # 500 is what a fault says that was armed without a status: then a code brings its own.
        return _refusal(request, PopError(code, fault.value, status=0 if fault.status == 500 else fault.status))

    app = web.Application(middlewares=[answer, faults.middleware(operation_of, refuse)], client_max_size=MAX_BODY_BYTES)
    if files is not None:
        app[FILETRANS] = files
        app.cleanup_ctx.append(files.alive)
    app.router.add_route("*", "/", serve)
    app.router.add_route("*", "/{tail:.*}", _elsewhere)
    return app


async def _rpc_of(request: web.Request) -> RpcRequest:
    if request.method not in ("GET", "POST"):
        raise PopError("UnsupportedHTTPMethod")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError as error:
        raise PopError("RequestTimeout", "The body did not come in time.", status=408) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise PopError("RequestEntityTooLarge", "The body is too large.", status=413) from error
    query = request.raw_path.partition("?")[2]
    form = body.decode("utf-8", "replace") if request.method == "POST" and request.content_type == _FORM else ""
    if not request.headers.get("Authorization", "").startswith("ACS3-"):
        return RpcRequest.parse(request.method, query, form)
    signed = acs3.read(request.method, request.path, query, request.headers, body)
    named = {"Action": request.headers["x-acs-action"], "Version": request.headers["x-acs-version"]}
    parameters = RpcRequest.parse(request.method, query, form).parameters
    return RpcRequest(request.method, (*named.items(), ("AccessKeyId", signed.access_key_id), *parameters), signed)


async def _elsewhere(request: web.Request) -> web.Response:
    """ROA-style paths, such as the speech service's old `/pop/2018-05-18/tokens`."""
    raise PopError("InvalidAction.NotFound")


def _refusal(request: web.Request, error: PopError) -> web.Response:
    return _json(error.document(request[_ID], request.headers.get("Host", "")), error.status)


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(document, ensure_ascii=False).encode(), content_type="application/json"
    )
