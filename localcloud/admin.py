"""The operator's door of localcloud: counters, faults, the clock, instances, timers. On loopback, without keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute
from localcloud.fc.errors import FcError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(faults: Faults, clock: Clock, fc: FunctionCompute) -> web.Application:
    """`GET /counters`, `POST|DELETE /faults`, `POST /clock`, `GET /instances`, `POST /timers`, `GET /async`.

    Errors are `{"error": text}` with 400 for a wrong request and 404 for what is not there.
    """

    async def counters(_: web.Request) -> web.Response:
        return web.json_response(dict(sorted(faults.counters().items())))

    async def arm(request: web.Request) -> web.Response:
        settings = await _object(request)
        try:
            fault = faults.arm(**settings)
        except (TypeError, ValueError) as error:
            raise _wrong(str(error)) from error
        return web.json_response({name: value for name, value in asdict(fault).items() if name != "chance"}, status=201)

    async def disarm(_: web.Request) -> web.Response:
        faults.disarm()
        return web.Response(status=204)

    async def move_clock(request: web.Request) -> web.Response:
        seconds = (await _object(request)).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise _wrong("advance_seconds is a number")
        try:
            clock.move(seconds)
            fc.clock_moved()
        except ValueError as error:
            raise _wrong(str(error)) from error
        return web.json_response({"now": clock.now()})

    async def instances(_: web.Request) -> web.Response:
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
                for instance in fc.instances()
            ]
        )

    async def fire_timer(request: web.Request) -> web.Response:
        given = await _object(request)
        try:
            request_id = fc.fire_timer(str(given.get("function", "")), str(given.get("trigger", "")))
        except FcError as error:
            return web.json_response({"error": error.message}, status=error.status)
        return web.json_response({"request_id": request_id}, status=202)

    async def queue(_: web.Request) -> web.Response:
        finished = [
            {
                "function": task.function,
                "request_id": task.request_id,
                "state": task.state,
                "attempts": task.attempts,
            }
            for task in fc.queue.finished
        ]
        answer = {"waiting": fc.queue.depth(), "finished": finished, "destinations": list(fc.delivered)}
        return web.json_response(answer)

    app = web.Application(middlewares=[_errors])
    app.router.add_get("/counters", counters)
    app.router.add_post("/faults", arm)
    app.router.add_delete("/faults", disarm)
    app.router.add_post("/clock", move_clock)
    app.router.add_get("/instances", instances)
    app.router.add_post("/timers", fire_timer)
    app.router.add_get("/async", queue)
    return app


def _wrong(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(reason="Bad Request", text=text)


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except ValueError as error:
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
