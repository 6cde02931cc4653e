"""The POP service as an aiohttp application: RPC calls at `/`, by GET and POST."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import FAULT, Fault, Faults, Handler
from localcloud.pop import actions
from localcloud.pop.errors import PopError
from localcloud.pop.gateway import Gateway, RpcRequest

_log = logging.getLogger(__name__)
_ID = web.RequestKey("request_id", str)
_RPC = web.RequestKey("rpc", RpcRequest)
_FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 1024 * 1024


def make_app(account: Account, faults: Faults, clock: Clock) -> web.Application:
    """CreateToken (2019-02-28) and AssumeRole (2015-04-01) behind POP's RPC signature.

    Faults: operations are named `pop.CreateToken` and so on, the subject is the AccessKeyId. Besides the usual actions,
    `business` answers HTTP 200 with the fault's `code` as ErrCode and its `value` as ErrMsg instead of a token; `error`
    takes a `code` such as `Throttling.User`, which brings its own status.
    """
    gateway = Gateway(account, clock)

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_ID] = str(uuid.uuid4()).upper()
        try:
            request[_RPC] = await _rpc_of(request)
            response = await handler(request)
        except PopError as error:
            response = _refusal(request, error)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:  # noqa: BLE001 - POP answers JSON, never a web framework's page
            _log.exception("a POP call failed")
            response = _refusal(request, PopError("InternalError"))
        response.headers.update({"Date": clock.http_date(), "x-acs-request-id": request[_ID]})
        return response

    async def serve(request: web.Request) -> web.Response:
        call = request[_RPC]
        key = gateway.admit(call)
        action = actions.find(call)
        fault: Fault | None = request.get(FAULT)
        if fault is not None and fault.action == "business":
            return _json({**actions.business_failure(fault.code, fault.value), "RequestId": request[_ID]})
        return _json({**action.perform(account, key, call), "RequestId": request[_ID]})

    def operation_of(request: web.Request) -> tuple[str, str]:
        call = request[_RPC]
        return f"pop.{call.get('Action')}", call.get("AccessKeyId")

    def refuse(request: web.Request, fault: Fault) -> web.Response:
        code = fault.code or {400: "Throttling.User", 503: "ServiceUnavailable"}.get(fault.status, "InternalError")
        # 500 is what a fault says that was armed without a status: then a code brings its own.
        return _refusal(request, PopError(code, fault.value, status=0 if fault.status == 500 else fault.status))

    app = web.Application(middlewares=[answer, faults.middleware(operation_of, refuse)], client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/", serve)
    app.router.add_route("*", "/{tail:.*}", _elsewhere)
    return app


async def _rpc_of(request: web.Request) -> RpcRequest:
    if request.method not in ("GET", "POST"):
        raise PopError("UnsupportedHTTPMethod")
    if request.headers.get("Authorization", "").startswith("ACS3-"):
        raise PopError("NotImplemented", "localcloud serves POP's HMAC-SHA1 signature only, not version 3.")
    form = ""
    if request.method == "POST" and request.content_type == _FORM:
        form = (await request.read()).decode("utf-8", "replace")
    return RpcRequest.parse(request.method, request.raw_path.partition("?")[2], form)


async def _elsewhere(request: web.Request) -> web.Response:
    """ROA-style paths, such as the speech service's old `/pop/2018-05-18/tokens`."""
    raise PopError("InvalidAction.NotFound")


def _refusal(request: web.Request, error: PopError) -> web.Response:
    return _json(error.document(request[_ID], request.headers.get("Host", "")), error.status)


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(document, ensure_ascii=False).encode(), content_type="application/json"
    )
