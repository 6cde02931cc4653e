"""The gateways' part of the admin door: `/gateway/consumers`, `/gateway/routes`, `/gateway/groups`. In memory only."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from localcloud.clock import Clock
from localcloud.fc import FunctionCompute
from localcloud.fc.headers import Invocation
from localcloud.fc.invoke import Outcome, invoke_event
from localcloud.gateway import settings
from localcloud.gateway.policies import Policies
from localcloud.gateway.traditional import BODY_LIMIT_BYTES, Group
from localcloud.relay import HEADER_LINE_LIMIT_BYTES, answering_all

_HOST = "127.0.0.1"


class Desk:
    """Where both gateways are configured.

    Parameters
    ----------
    clock
        Judges the expiry of JWTs (it may be moved) and, unmoved, the time stamps of signatures.
    fc
        Where the traditional gateway invokes functions.
    """

    def __init__(self, clock: Clock, fc: FunctionCompute) -> None:
        self.policies = Policies(clock)
        self._clock = clock
        self._fc = fc
        self._groups: list[web.AppRunner] = []

    def at(self, admin: web.Application) -> web.Application:
        """Add the operations to the admin door and return it; its end is the groups' end.

        `POST` answers 201 (again under the same name: replaced), `DELETE` 204, a wrong setting 400.
        """
        admin.router.add_post("/gateway/consumers", self._put_consumer)
        admin.router.add_delete("/gateway/consumers/{name}", self._delete_consumer)
        admin.router.add_post("/gateway/routes", self._put_route)
        admin.router.add_delete("/gateway/routes/{name}", self._delete_route)
        admin.router.add_post("/gateway/groups", self._open_group)
        admin.cleanup_ctx.append(self._closing)
        return admin

    async def _put_consumer(self, request: web.Request) -> web.Response:
        given = await _object(request)
        try:
            made = settings.consumer(given)
        except settings.Wrong as error:
            raise _wrong(str(error)) from error
        taken = [
            other.name
            for other in self.policies.consumers.values()
            if other.name != made.name
            and ((made.key and other.key == made.key) or (made.api_key and other.api_key == made.api_key))
        ]
        if taken:
            raise _wrong(f"the credential is {taken[0]}'s already")
        self.policies.consumers[made.name] = made
        return web.json_response({"name": made.name, "method": made.method}, status=201)

    async def _delete_consumer(self, request: web.Request) -> web.Response:
        return _deleted(self.policies.consumers.pop(request.match_info["name"], None))

    async def _put_route(self, request: web.Request) -> web.Response:
        given = await _object(request)
        try:
            made = settings.route(given)
        except settings.Wrong as error:
            raise _wrong(str(error)) from error
        self.policies.routes[made.name] = made
        return web.json_response({"name": made.name, "prefix": made.prefix, "authentication": made.mode}, status=201)

    async def _delete_route(self, request: web.Request) -> web.Response:
        return _deleted(self.policies.routes.pop(request.match_info["name"], None))

    async def _open_group(self, request: web.Request) -> web.Response:
        """Answers `{"url"}`: each group of the traditional gateway listens on a free port of its own."""
        given = await _object(request)
        try:
            apps, apis = settings.group(given)
        except settings.Wrong as error:
            raise _wrong(str(error)) from error
        group = Group(apps, apis, self._invoke, self._clock)
        runner = web.AppRunner(
            answering_all(group.handle, client_max_size=BODY_LIMIT_BYTES),
            auto_decompress=False,  # a body goes on as it came
            access_log=None,
            shutdown_timeout=1.0,
            max_line_size=HEADER_LINE_LIMIT_BYTES,
            max_field_size=HEADER_LINE_LIMIT_BYTES,
        )
        await runner.setup()
        self._groups.append(runner)
        bound = socket.socket()
        bound.bind((_HOST, 0))
        await web.SockSite(runner, bound).start()
        return web.json_response({"url": f"http://{_HOST}:{bound.getsockname()[1]}"}, status=201)

    async def _invoke(self, function: str, qualifier: str, event: bytes) -> Outcome:
        spec = self._fc.registry.resolve(function, qualifier)
        return await invoke_event(self._fc.fleet, spec, event, Invocation(qualifier=qualifier))

    async def _closing(self, _: web.Application) -> AsyncIterator[None]:
        yield
        for runner in self._groups:
            await runner.cleanup()
        self._groups.clear()


def _deleted(what: object) -> web.Response:
    if what is None:
        raise web.HTTPNotFound(text="there is none of that name")
    return web.Response(status=204)


def _wrong(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=text)


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _wrong("the body is not JSON") from error
    if not isinstance(given, dict):
        raise _wrong("the body is not a JSON object")
    return given
