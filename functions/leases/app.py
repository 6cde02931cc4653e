"""The leases function: `POST /v1/token`."""

from __future__ import annotations

import functools
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.leases.lease import Leases, from_settings
from functions.leases.openapi import DOCUMENT
from isikit import config
from isikit.host import context, json_response, make_app, parse_json, read_body

BODY_LIMIT_BYTES = 4096


def routes(leases: Callable[[], Leases]) -> list[Route]:
    """The routes of an instance.

    Parameters
    ----------
    leases
        Gives the instance's collaborators; not called before the first request.
    """

    async def post_token(request: Request) -> Response:
        caller = await leases().doors.identify(request.headers, request.scope)
        body = await read_body(request, BODY_LIMIT_BYTES)
        wish = parse_json(body) if body.strip() else {}
        lease = await leases().grant(caller.tenant, wish, context.current().deadline)
        return json_response(lease, headers={"Cache-Control": "no-store"})

    async def get_openapi(_: Request) -> Response:
        return json_response(DOCUMENT)

    return [
        Route("/v1/token", post_token, methods=["POST"]),
        Route("/openapi.json", get_openapi, methods=["GET"]),
    ]


@functools.cache
def instance() -> Leases:
    """This process's own, made when the first request comes: a wrong setting is then an answer, not a crash."""
    return from_settings(config.settings())


def initialize() -> None:
    """Function Compute's initializer: import now what the first request would wait for (300 ms)."""
    import aliyunsdkcore.client  # noqa: F401
    import oss2  # noqa: F401


app = make_app(routes(instance))
