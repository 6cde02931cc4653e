"""The operator's door of localcloud: counters, faults, clock, quotas, instances, timers. On loopback, without keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import SERVICES, Faults
from localcloud.fc import FunctionCompute
from localcloud.fc.errors import FcError
from localcloud.nls import Limits

_FAULT_DEFAULTS = (("operation", ""), ("action", "error"), ("when", "before"))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(account: Account, faults: Faults, clock: Clock, fc: FunctionCompute, speech: Limits) -> web.Application:
    """The door's application.

    `GET /counters`, `POST|DELETE /faults`, `POST /clock`, `POST /quotas` (the speech service's tasks at once),
    `POST /roles` (of another account), `GET /instances`, `GET /async`, `POST /timers`, `POST /migrated`. Errors are
    `{"error": text}` with 400 for a wrong request and 404 for what is not there.
    """
    door = _Door(account, faults, clock, fc, speech)
    app = web.Application(middlewares=[_errors])
    app.router.add_get("/counters", door.counters)
    app.router.add_post("/faults", door.arm)
    app.router.add_delete("/faults", door.disarm)
    app.router.add_post("/clock", door.move_clock)
    app.router.add_post("/quotas", door.set_quotas)
    app.router.add_post("/roles", door.lend)
    app.router.add_get("/instances", door.instances)
    app.router.add_post("/timers", door.fire_timer)
    app.router.add_post("/migrated", door.migrate)
    app.router.add_get("/async", door.queue)
    return app


@dataclass(frozen=True, slots=True)
class _Door:
    _account: Account
    _faults: Faults
    _clock: Clock
    _fc: FunctionCompute
    _speech: Limits

    async def counters(self, _: web.Request) -> web.Response:
        return web.json_response(dict(sorted(self._faults.counters().items())))

    async def arm(self, request: web.Request) -> web.Response:
        settings = await _object(request)
        try:
            if str(settings.get("operation", "")).partition(".")[0] not in SERVICES:
                raise ValueError(f"operation begins with one of {', '.join(SERVICES)}, as in oss.PutObject")
            asked = [str(settings.get(name, default)) for name, default in _FAULT_DEFAULTS]
            self._fc.check_fault(*asked)
            fault = self._faults.arm(**settings)
        except (TypeError, ValueError) as error:
            raise _wrong(str(error)) from error
        return web.json_response({name: value for name, value in asdict(fault).items() if name != "chance"}, status=201)

    async def disarm(self, _: web.Request) -> web.Response:
        self._faults.disarm()
        return web.Response(status=204)

    async def move_clock(self, request: web.Request) -> web.Response:
        seconds = (await _object(request)).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise _wrong("advance_seconds is a number")
        try:
            self._clock.move(seconds)
            self._fc.clock_moved()
        except ValueError as error:
            raise _wrong(str(error)) from error
        return web.json_response({"now": self._clock.now()})

    async def set_quotas(self, request: web.Request) -> web.Response:
        try:
            self._speech.set_concurrency(await _object(request))
        except ValueError as error:
            raise _wrong(str(error)) from error
        return web.json_response(self._speech.concurrency)

    async def lend(self, request: web.Request) -> web.Response:
        given = await _object(request)
        role_arn, trusts = given.get("role_arn"), given.get("trusts")
        if not isinstance(role_arn, str) or not isinstance(trusts, list):
            raise _wrong("role_arn is a text, trusts a list of principals as role/speech-token-dev")
        self._account.lend(role_arn, *map(str, trusts))
        return web.json_response({"role_arn": role_arn}, status=201)

    async def instances(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "function": instance.spec.name,
                    "version": instance.spec.version,
                    "instance_id": instance.instance_id,
                    "pid": instance.pid,
                    "state": instance.state,
                    "frozen": instance.frozen,
                    "in_flight": instance.in_flight,
                }
                for instance in self._fc.instances()
            ]
        )

    async def fire_timer(self, request: web.Request) -> web.Response:
        given = await _object(request)
        try:
            request_id = self._fc.fire_timer(str(given.get("function", "")), str(given.get("trigger", "")))
        except FcError as error:
            return web.json_response({"error": error.message}, status=error.status)
        return web.json_response({"request_id": request_id}, status=202)

    async def migrate(self, request: web.Request) -> web.Response:
        given = await _object(request)
        try:
            shown = self._fc.registry.migrate(str(given.get("function", "")), str(given.get("service", "")))
        except FcError as error:
            return web.json_response({"error": error.message}, status=error.status)
        return web.json_response({"function": shown.name}, status=201)

    async def queue(self, _: web.Request) -> web.Response:
        finished = [
            {
                "function": task.function,
                "request_id": task.request_id,
                "state": task.state,
                "attempts": task.attempts,
            }
            for task in self._fc.queue.finished
        ]
        answer = {"waiting": self._fc.queue.depth(), "finished": finished, "destinations": list(self._fc.delivered)}
        return web.json_response(answer)


def _wrong(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(reason="Bad Request", text=text)


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except (ValueError, RecursionError) as error:
        raise _wrong("the body is not JSON") from error
    if not isinstance(given, dict):
        raise _wrong("the body is not a JSON object")
    return given


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.json_response({"error": error.text}, status=error.status, headers=_allow(error))


def _allow(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
