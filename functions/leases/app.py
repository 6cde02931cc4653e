"""The leases function: `POST /v1/token` and `POST /v1/uploads`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.leases import cross_origin
from functions.leases.audit import Audit, What
from functions.leases.openapi import DOCUMENT
from functions.leases.service import Service, from_settings
from isikit import config, limits
from isikit.errors import IsiError
from isikit.host import context, json_response, make_app, parse_json, read_body
from isikit.identity import Caller
from isikit.tenants.schema import RateName

BODY_LIMIT_BYTES = 4096
_TOKEN, _UPLOADS = "/v1/token", "/v1/uploads"
_RATES: dict[What, RateName] = {"lease": "leases", "upload": "uploads"}

Grant = Callable[[Caller, bytes, Audit], Awaitable[Any]]


def routes(service: Callable[[], Service]) -> list[Route]:
    """The routes of an instance.

    Parameters
    ----------
    service
        Gives the instance's collaborators; not called before the first request.
    """

    async def post_token(request: Request) -> Response:
        async def grant(caller: Caller, body: bytes, audit: Audit) -> object:
            return await service().leases.grant(caller, body, context.current().deadline, audit)

        return await _granted(request, service(), "lease", grant)

    async def post_upload(request: Request) -> Response:
        async def grant(caller: Caller, body: bytes, audit: Audit) -> object:
            return await service().uploads.grant(caller, parse_json(body) if body.strip() else {}, audit)

        return await _granted(request, service(), "upload", grant)

    async def preflight(request: Request) -> Response:
        return cross_origin.preflight(request.headers, await service().tenants.current())

    async def get_openapi(_: Request) -> Response:
        return json_response(DOCUMENT)

    return [
        Route(_TOKEN, post_token, methods=["POST"]),
        Route(_UPLOADS, post_upload, methods=["POST"]),
        Route(_TOKEN, preflight, methods=["OPTIONS"]),
        Route(_UPLOADS, preflight, methods=["OPTIONS"]),
        Route("/openapi.json", get_openapi, methods=["GET"]),
    ]


async def _granted(request: Request, service: Service, what: What, grant: Grant) -> Response:
    """Who asks, from where, for what; and one line about it, whatever comes of it."""
    audit = Audit(what)
    try:
        caller = await service.doors.identify(request.headers, request.scope)
        audit.identified(caller)
        context.update(headers=cross_origin.headers_for(request.headers, caller.tenant))
        await service.limits.admit(caller.tenant, _RATES[what])
        body = await read_body(request, BODY_LIMIT_BYTES)
        given = await grant(caller, body, audit)
    except IsiError as error:
        audit.refused(error)
        raise
    return json_response(given, headers={"Cache-Control": "no-store"})


@functools.cache
def instance() -> Service:
    """This process's own, made when the first request comes: a wrong setting is then an answer, not a crash."""
    return from_settings(config.settings())


def initialize() -> None:
    """Function Compute's initializer: import now what the first request would wait for."""
    import oss2  # noqa: F401  (and with it aliyunsdkcore, which makes the token)

    limits.warm_up()


async def pre_stop() -> None:
    """Function Compute's last call: give unspent parts of the day's quotas back."""
    if instance.cache_info().currsize:
        await instance().limits.hand_in()


app = make_app(routes(instance))
