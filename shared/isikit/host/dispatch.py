"""Function Compute's custom-runtime protocol, known here and nowhere else.

Calls are told apart by the header `x-fc-control-path` alone. The platform sets it and refuses `x-fc-*` from clients;
the path says nothing, because a public HTTP trigger passes any path through, and anyone could POST a forged OSS event
to `/invoke`. `x-fc-*` headers, credentials among them, never reach the application.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isikit import credentials, logs
from isikit.errors.tree import DeadlineExceeded, IsiError, NotFound
from isikit.host import context, traditional
from isikit.host.application import DEFAULT_TIMEOUT_SECONDS, make_app
from isikit.host.context import Deadline, RequestContext
from isikit.host.requests import read_body
from isikit.host.responses import problem_response
from isikit.host.timeouts import TimeLimit

CONTROL = "x-fc-control-path"
ABORT = "isikit.abort"
"""Name in the scope's `state` of what drops the connection at once."""
HOLD = "isikit.hold"
"""Name in the scope's `state` of what holds the connection's writes (True), and writes them out as one (False)."""
RESERVED_PATHS = frozenset({"/invoke", "/initialize", "/pre-stop"})
PART_BYTES = 64 * 1024
EVENT_LIMIT_BYTES = 32 * 1024 * 1024  # the platform's own limit for a synchronous call
ANSWER_MARGIN_SECONDS = 0.5
"""What is left of the platform's time when ours is over: to say so before the instance is killed."""

Handler = Callable[[bytes, "EventContext"], "object | Awaitable[object]"]
Hook = Callable[[], "object | Awaitable[object]"]


@dataclass(frozen=True, slots=True)
class EventContext:
    """What the platform says of an event.

    Parameters
    ----------
    request_id
        The platform's id.
    deadline
        When it must be done.
    function_name, region, account_id
        Of this function; empty when the platform did not say.
    retry_count
        How often the platform repeated this event after a failure.
    """

    request_id: str
    deadline: Deadline
    function_name: str = ""
    region: str = ""
    account_id: str = ""
    retry_count: int = 0


class Host:
    """The ASGI application that the server runs.

    Parameters
    ----------
    app
        Answers HTTP.
    handler
        Takes events: `(bytes, EventContext)`, plain (run in a thread) or async. What it returns is sent as JSON, bytes
        and str as they are.
    initialize, pre_stop
        The instance's hooks, plain (run in a thread) or async. `initialize` is where a function imports the SDKs that
        its first request would have to wait for; its deadline is the platform's for the initializer.
    """

    def __init__(
        self,
        app: ASGIApp | None,
        handler: Handler | None = None,
        *,
        initialize: Hook | None = None,
        pre_stop: Hook | None = None,
    ) -> None:
        self._app = app or make_app([])
        self._nowhere = make_app([])
        self._handler = handler
        self._hooks = {"/initialize": ("Initialize", initialize), "/pre-stop": ("PreStop", pre_stop)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")  # lifespan and WebSocket are off in the server
        platform, scope = _apart(scope)
        control = platform.get(CONTROL)
        if control is None:
            app = self._nowhere if scope["path"] in RESERVED_PATHS else self._app
            await app(scope, receive, send)
            return
        credentials.provider.update(platform)
        deadline = Deadline.after(max(0.0, _seconds(platform, control) - ANSWER_MARGIN_SECONDS))
        request_id = context.request_id_of(platform.get("x-fc-request-id"))
        token = context.enter(RequestContext(request_id, deadline, framed=True))
        try:
            if control == "/http-invoke":
                await self._http(deadline, scope, receive, send)
            elif control == "/invoke":
                await self._event(platform, scope, receive, send)
            elif control in self._hooks:
                await self._hook(control, scope, receive, send)
            else:
                await self._nowhere(scope, receive, send)
        finally:
            context.leave(token)

    async def _http(self, deadline: Deadline, scope: Scope, receive: Receive, send: Send) -> None:
        frame = _Frame("Invoke")
        hold = scope.get("state", {}).get(HOLD, _hold_nothing)
        status, start = 0, None

        async def framed(message: Message) -> None:
            nonlocal status, start
            if message["type"] == "http.response.start":
                status, start = message["status"], message
                return  # it goes out with the first bytes of the body
            for part in _parts(message):
                if not part.get("more_body", False):
                    frame.end(failed=status == 500)
                if start is None:
                    await send(part)
                    continue
                hold(True)
                try:
                    await send(start)
                    await send(part)
                finally:
                    start = None
                    hold(False)

        try:
            # One caller who does not read must not cost the others their instance: the platform ends all of it.
            with TimeLimit(deadline.remaining()):
                await self._app(scope, receive, framed)
        except TimeoutError:
            logs.event("request.abandoned", level="warning", status=status)
            if status:
                abort = scope.get("state", {}).get(ABORT)
                if abort is not None:
                    abort()
            else:
                await problem_response(DeadlineExceeded())(scope, receive, framed)
        finally:
            frame.end(failed=True)

    async def _event(self, platform: Mapping[str, str], scope: Scope, receive: Receive, send: Send) -> None:
        frame = _Frame("Invoke")
        begun_at = time.monotonic()
        retry_count = _count(platform.get("x-fc-retry-count"))
        try:
            event = await read_body(Request(scope, receive), EVENT_LIMIT_BYTES)
            if traditional.is_call(event):
                answer = _encoded(await traditional.answer(self._app, event))
            elif self._handler is None:
                raise NotFound("This function takes no events.")
            else:
                answer = _encoded(await _called(self._handler, event, _event_context(platform, retry_count)))
        except ClientDisconnect:
            frame.end(failed=True)
            return
        except Exception as error:  # noqa: BLE001 - an event's failure is an answer of the protocol
            logs.failure("event.failed", error, retry_count=retry_count, duration_ms=_since(begun_at))
            frame.end(failed=True)
            await _send(send, 404, *_failure(error))
            return
        logs.event("event.finished", retry_count=retry_count, duration_ms=_since(begun_at))
        frame.end()
        await _send(send, 200, *answer)

    async def _hook(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        name, hook = self._hooks[path]
        frame = _Frame(name)
        try:
            if hook is not None:
                await _called(hook)
        except Exception as error:  # noqa: BLE001 - as above
            logs.failure("hook.failed", error, operation=name)
            frame.end(failed=True)
            await _send(send, 404, *_failure(error))
            return
        frame.end()
        await _send(send, 200, b"", "text/plain")


class _Frame:
    """The lines that let the platform's log search find a request; a custom runtime prints them itself."""

    __slots__ = ("_open", "_phase", "_request_id")

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._open = True
        self._request_id = context.current().request_id
        logs.write(f"FC {phase} Start RequestId: {self._request_id}")

    def end(self, *, failed: bool = False) -> None:
        """Print the last line, the first time this is called: before the answer, after which we may be frozen."""
        if self._open:
            self._open = False
            error = ", Error: Unhandled function error" if failed else ""
            logs.write(f"FC {self._phase} End RequestId: {self._request_id}{error}")
            logs.flush()


def _parts(message: Message) -> Sequence[Message]:
    """A body in parts that the server's flow control sees: one whole would lie in its buffer, read by nobody."""
    body = message.get("body", b"")
    if len(body) <= PART_BYTES:
        return (message,)
    more, starts = message.get("more_body", False), range(0, len(body), PART_BYTES)
    return [
        {**message, "body": body[start : start + PART_BYTES], "more_body": more or start != starts[-1]}
        for start in starts
    ]


def _hold_nothing(_: bool) -> None:
    """Where there is no connection."""


def _apart(scope: Scope) -> tuple[dict[str, str], Scope]:
    """The platform's headers (names in lower case), and the scope without them. The first of a repeated name counts."""
    platform: dict[str, str] = {}
    others: list[tuple[bytes, bytes]] = []
    for header in scope["headers"]:
        ours = _platforms_name(header[0])
        if not ours:
            others.append(header)
        elif ours not in platform:
            platform[ours] = header[1].decode("latin-1")
    return platform, {**scope, "headers": others}


@functools.lru_cache(512)
def _platforms_name(name: bytes) -> str:
    """A header's name in lower case if it is the platform's, else nothing."""
    lower = name.decode("latin-1").lower()
    return lower if lower.startswith("x-fc-") else ""


def _seconds(platform: Mapping[str, str], control: str) -> float:
    """The platform's time for this call. The initializer has its own, which is often shorter than the function's."""
    names = ("x-fc-initialization-timeout",) if control == "/initialize" else ()
    for name in (*names, "x-fc-function-timeout"):
        text = platform.get(name, "")
        if text.isdecimal() and int(text[:9]) > 0:
            return float(text)
    return DEFAULT_TIMEOUT_SECONDS


def _count(text: str | None) -> int:
    return int(text[:9]) if text and text.isdecimal() else 0


def _since(begun_at: float) -> float:
    return round((time.monotonic() - begun_at) * 1000, 2)


def _event_context(platform: Mapping[str, str], retry_count: int) -> EventContext:
    current = context.current()
    return EventContext(
        request_id=current.request_id,
        deadline=current.deadline,
        function_name=platform.get("x-fc-function-name") or os.environ.get("FC_FUNCTION_NAME", ""),
        region=platform.get("x-fc-region") or os.environ.get("FC_REGION", ""),
        account_id=platform.get("x-fc-account-id") or os.environ.get("FC_ACCOUNT_ID", ""),
        retry_count=retry_count,
    )


async def _called(function: Callable[..., Any], *arguments: object) -> object:
    """Call a plain or async function; plain ones run in a thread, so that they hold up nobody else."""
    if inspect.iscoroutinefunction(function):
        result = function(*arguments)
    else:
        result = await asyncio.to_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


def _encoded(result: object) -> tuple[bytes, str]:
    if isinstance(result, bytes):
        return result, "application/octet-stream"
    if isinstance(result, str):
        return result.encode(), "text/plain; charset=utf-8"
    return msgspec.json.encode(result), "application/json"


def _failure(error: Exception) -> tuple[bytes, str]:
    """`{errorMessage, errorType}` like the built-in runtimes, in our words: a message of Python's may quote a text."""
    if isinstance(error, IsiError):
        message = f"{error.code}: {error.title}. {error.advice}"
    else:
        message = f"The function failed unexpectedly; its log has more under request {context.current().request_id}."
    return msgspec.json.encode({"errorMessage": message, "errorType": type(error).__name__}), "application/json"


async def _send(send: Send, status: int, body: bytes, content_type: str) -> None:
    # Without x-fc-status the platform counts every answer as a success, and a 500 makes it restart the instance.
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-fc-status", str(status).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
