"""The ASGI application around a function's routes: every error is a problem document, every request is one log line."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Iterable, Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isikit import logs
from isikit.errors.tree import Allowance, IsiError, LimitError, MethodNotAllowed, NotFound, RequestError, TooLarge
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.host.responses import json_response, problem_response

DEFAULT_TIMEOUT_SECONDS = 60.0
CLIENT_CLOSED_REQUEST = 499
_HEALTH = "/healthz"
_CALLERS_IDS = frozenset({b"x-call-id", b"traceparent"})


def make_app(routes: Sequence[Route]) -> ASGIApp:
    """The application of a function.

    Parameters
    ----------
    routes
        Starlette's routes; HEAD is added where GET is. Tried in order. `/healthz` is added.

    Returns
    -------
    ASGIApp
        Answers every error (404, 405 and the unexpected too) with `application/problem+json`, passes `X-Request-Id`,
        `traceparent` and `X-Call-Id` back, and logs `request.finished`: before the last bytes are sent, because
        Function Compute may freeze the instance right after them.
    """
    return _Application(routes)


async def _healthz(_: Request) -> Response:
    return json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


class _Application:
    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = (*routes, Route(_HEALTH, _healthz))
        self._fixed = _fixed(self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")  # lifespan and WebSocket are off in the host
        token = context.enter(
            context.current_or_none()
            or RequestContext(context.new_request_id(), Deadline.after(DEFAULT_TIMEOUT_SECONDS))
        )
        try:
            _take_over(scope)
            await self._answer(scope, receive, _Answer(scope, send))
        finally:
            context.leave(token)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            route, found = self._find(scope)
            answer.route = route.path
            await _carry_out(route, {**scope, **found}, receive, answer.send)
        except ClientDisconnect:
            answer.finish(CLIENT_CLOSED_REQUEST)  # there is nobody to answer
        except IsiError as error:
            await answer.refuse(error, receive)
        except HTTPException as error:
            await answer.refuse(_of_starlette(error), receive, error.headers)
        except Exception as error:  # noqa: BLE001 - the last place where it can become an answer
            logs.failure("request.failed", error)
            await answer.refuse(IsiError(), receive)
        finally:
            answer.finish(CLIENT_CLOSED_REQUEST)

    def _find(self, scope: Scope) -> tuple[Route, Scope]:
        fixed = self._fixed.get((scope["method"], scope["path"]))
        if fixed is not None and not scope.get("root_path"):
            return fixed, {"endpoint": fixed.endpoint, "path_params": {}}
        allowed: set[str] = set()
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return route, found
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise NotFound


def _fixed(routes: Sequence[Route]) -> dict[tuple[str, str], Route]:
    """(method, path) -> route, where that is all that decides: the path has no parameters, nor any route before it."""
    found: dict[tuple[str, str], Route] = {}
    for route in routes:
        if route.param_convertors:
            break
        for method in route.methods or ():
            found.setdefault((method, route.path), route)
    return found


_is_async = functools.lru_cache(256)(inspect.iscoroutinefunction)


async def _carry_out(route: Route, scope: Scope, receive: Receive, send: Send) -> None:
    """What `route.handle` does, without Starlette's own handling of errors and methods: both are done here already."""
    if _is_async(route.endpoint):
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
    else:
        await route.handle(scope, receive, send)


def _take_over(scope: Scope) -> None:
    """Put the ids that a caller sent into the request's context; of a repeated header the first counts."""
    sent: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _CALLERS_IDS:
            sent.setdefault(name, value.decode("latin-1"))
    if sent:
        context.update(
            call_id=context.call_id_of(sent.get(b"x-call-id")),
            traceparent=context.traceparent_of(sent.get(b"traceparent")),
        )


def _of_starlette(error: HTTPException) -> IsiError:
    if error.status_code == 404:
        return NotFound()
    if error.status_code == 405:
        return MethodNotAllowed()
    if error.status_code == 413:
        return TooLarge()
    if error.status_code >= 500:
        return IsiError()
    return RequestError()


class _Answer:
    """What is sent back: adds our headers, leaves HEAD without a body, and logs once."""

    __slots__ = ("_begun_at", "_error", "_finished", "_scope", "_send", "route", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._begun_at = time.monotonic()
        self._finished = False
        self._error: IsiError | None = None
        self.status: int | None = None
        self.route = "unmatched"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": _with_ours(message.get("headers", ()))}
        elif message["type"] == "http.response.body":
            if self._scope["method"] == "HEAD":
                message = {**message, "body": b""}
            if not message.get("more_body", False):
                self.finish(self.status)
        await self._send(message)

    async def refuse(self, error: IsiError, receive: Receive, headers: Mapping[str, str] | None = None) -> None:
        """Send the problem document; once bytes are out, breaking the connection is the only honest answer left."""
        self._error = error
        if self.status is not None:
            self.finish(500)
            raise ConnectionAbortedError("failed while answering")
        if isinstance(error, LimitError):
            # Carried by the error: it may have been raised in a task of its own, whose context is not ours.
            context.update(allowance=error.allowance)
        await problem_response(error, headers)(self._scope, receive, self.send)

    def finish(self, status: int | None) -> None:
        """Log the request, the first time this is called. Health checks come every few seconds: only failed ones."""
        if self._finished:
            return
        self._finished = True
        if self.route == _HEALTH and status == 200:
            return
        error = self._error
        grave = status is not None and status >= 500
        logs.event(
            "request.finished",
            level="error" if grave else "info",
            method=self._scope["method"],
            route=self.route,
            status=status,
            duration_ms=round((time.monotonic() - self._begun_at) * 1000, 2),
            code=error.code if error else None,
            upstream_code=error.upstream_code if error else None,
            error_type=type(error.__cause__ or error).__name__ if error and grave else None,
            where=logs.where(error) if error and grave else None,
        )


def _with_ours(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers with those that every answer carries, in place of its own of the same names."""
    request = context.current()
    ours = {b"x-request-id": request.request_id.encode("latin-1")}
    if request.traceparent:
        ours[b"traceparent"] = request.traceparent.encode("latin-1")
    if request.call_id:
        ours[b"x-call-id"] = request.call_id.encode("latin-1")
    if request.allowance is not None:
        _tell(ours, request.allowance)
    if request.headers:
        for name, value in request.headers.items():
            ours[name.lower().encode("latin-1")] = value.encode("latin-1")
    return [header for header in headers if header[0] not in ours] + list(ours.items())


def _tell(headers: dict[bytes, bytes], allowance: Allowance) -> None:
    """The fields of draft-ietf-httpapi-ratelimit-headers-06, the last version with a field for each number.

    Later versions pack them into one structured field, which no client library of today reads.
    """
    headers[b"ratelimit-limit"] = b"%d" % allowance.limit
    headers[b"ratelimit-remaining"] = b"%d" % allowance.remaining
    headers[b"ratelimit-reset"] = b"%d" % allowance.reset_seconds
    headers[b"ratelimit-policy"] = b"%d;w=%d" % (allowance.limit, allowance.window_seconds)
