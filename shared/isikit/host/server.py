"""The server: uvicorn, set up for an instance that is frozen between requests."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from isikit import logs
from isikit.errors.problem import problem
from isikit.errors.tree import ConfigError, RequestError
from isikit.host.dispatch import ABORT, HOLD, Host
from isikit.host.responses import NEVER_STORE, PROBLEM

if TYPE_CHECKING:
    from starlette.types import ASGIApp

DEFAULT_PORT = 9000
TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
"""Keep-alive. 0 does not mean off in uvicorn, it closes at once; and a connection that is closed for being idle resets
the POST that the platform has queued for the thaw, which the caller sees as 502 [both measured]."""
GRACE_SECONDS = 5
HEAD_BYTES = 64 * 1024
"""Of a request line and headers, and of trailers; names and values."""


class HeadTooLong(RequestError):
    """Refused before anything is known of the request."""

    code = "request.head_too_long"
    status = 431
    title = "The request's headers are too long"
    advice = "Send less than 64 KB of request line and headers."


def _head_too_long() -> bytes:
    error = HeadTooLong()
    body = msgspec.json.encode(problem(error, ""))
    lines = (
        f"HTTP/1.1 {error.status} Request Header Fields Too Large",
        f"Content-Type: {PROBLEM}",
        f"Content-Length: {len(body)}",
        f"Cache-Control: {NEVER_STORE}",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


def load(module_name: str) -> Host:
    """Import a function module and build its host. Errors of the import are the module's own."""
    module = importlib.import_module(module_name)
    app, handler = getattr(module, "app", None), getattr(module, "handler", None)
    if app is None and handler is None:
        raise ConfigError("The module offers neither app nor handler.")
    return Host(
        app,
        handler,
        initialize=getattr(module, "initialize", None),
        pre_stop=getattr(module, "pre_stop", None),
    )


def server_config(app: ASGIApp, env: Mapping[str, str] = os.environ) -> uvicorn.Config:
    """uvicorn's configuration: port and address from the environment, nothing logged, nothing closed for being idle."""
    return uvicorn.Config(
        app,
        # The platform cannot reach 127.0.0.1 [custom runtime documentation]; a laptop wants nothing else.
        host=env.get("ISI_LISTEN_HOST") or "0.0.0.0",  # noqa: S104
        port=int(env.get("FC_CUSTOM_LISTEN_PORT") or env.get("FC_SERVER_PORT") or DEFAULT_PORT),
        loop="uvloop",
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,  # it holds paths and queries
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=TEN_YEARS_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        reset_contextvars=True,  # a pipelined request must not begin in the context of the one before it
    )


def serve(module_name: str) -> int:
    """Serve a function module until SIGTERM or SIGINT.

    Returns
    -------
    int
        The process's exit code: 0 after a signal, 1 when the module cannot be served.
    """
    begun_at = time.monotonic()
    logs.setup(module_name)
    try:
        host = load(module_name)
    except Exception as error:  # noqa: BLE001 - whatever it is, the platform only sees that we are gone: say why first
        logs.failure("host.failed", error)
        for mistake in getattr(error, "errors", ()):
            logs.event("config.refused", level="error", field=mistake.name, reason=mistake.code)
        return 1
    config = server_config(host)
    server = _Server(config, module_name, begun_at)

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal again once it has stopped: by then these handlers are back, and the exit is a clean one.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.run()
    logs.event("host.stopped", module=module_name)
    return 0 if server.started else 1


class _Protocol(HttpToolsProtocol):
    """uvicorn's own, telling the host how to drop a connection whose other end has stopped reading, and how to hold it.

    uvicorn writes an answer's headers and its body apart, and uvloop sends each at once, in a packet of its own. And it
    keeps whatever comes before a body, or after it (trailers), however long that is: here it has an end.
    """

    _kept_bytes = 0
    """Received since the parser last gave something on: of a request line, headers or trailers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        holding = _Holding(transport)
        super().connection_made(holding)  # type: ignore[arg-type]
        self.app_state = {**self.app_state, ABORT: transport.abort, HOLD: holding.hold}

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._kept_bytes += len(data)
        super().data_received(data)
        if self._kept_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Begin a request. Raises `ValueError`, which the parser turns into a refusal, for a head that is too long."""
        if self._kept_bytes > HEAD_BYTES:  # seldom: a body may have come along with the head
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > HEAD_BYTES:
                raise ValueError
        self._kept_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body: it is counted, and the sender held back, by who reads it."""
        self._kept_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._kept_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has too long a head; drop the connection where an answer is under way on it."""
        if self._kept_bytes <= HEAD_BYTES:
            super().send_400_response(msg)
            return
        logs.event("request.refused", level="warning", status=HeadTooLong.status, reason=HeadTooLong.code)
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_head_too_long())
            self.transport.close()
        else:
            self.transport.abort()


class _Holding:
    """A transport whose writes can be held for a moment, and go out as one."""

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def hold(self, holds: bool) -> None:
        """Keep back what is written from now on; or write it out."""
        held, self._held = self._held, [] if holds else None
        if held:
            self._transport.write(b"".join(held))

    def write(self, data: bytes) -> None:
        """See `asyncio.Transport`."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def close(self) -> None:
        """See `asyncio.Transport`."""
        self.hold(False)
        self._transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, module_name: str, begun_at: float) -> None:
        super().__init__(config)
        self._module_name = module_name
        self._begun_at = begun_at

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so: from now on the platform's health check finds us."""
        await super().startup(sockets)
        duration_ms = round((time.monotonic() - self._begun_at) * 1000, 2)
        logs.event("host.started", module=self._module_name, port=self.config.port, duration_ms=duration_ms)
