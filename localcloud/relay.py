"""Passing an HTTP answer on, byte for byte and as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# aiohttp's server reads header lines of up to 8 KB by default and answers more with a page of its own.
HEADER_LINE_LIMIT_BYTES = 64 * 1024


def answering_all(answer: Handler, *, client_max_size: int = 1024**2) -> web.Application:
    """An application that gives every request to `answer`, those included that no route can name (`OPTIONS *`)."""

    @web.middleware
    async def front(request: web.Request, handler: Handler) -> web.StreamResponse:
        del handler  # what the router found, which is nothing
        return await answer(request)

    app = web.Application(middlewares=[front], client_max_size=client_max_size)
    app.on_response_prepare.append(strip_defaults)
    return app


class Relayed(web.StreamResponse):
    """A response whose headers are another server's."""

    def __init__(self, status: int, reason: str | None, headers: CIMultiDict[str]) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        self.untyped = "Content-Type" not in headers


async def strip_defaults(request: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` hook: no `Server`, and no Content-Type that nobody chose."""
    response.headers.pop("Server", None)
    if isinstance(response, Relayed) and response.untyped:
        response.headers.pop("Content-Type", None)


async def relay(request: web.Request, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]) -> web.StreamResponse:
    """Stream `answer` to the client of `request` with `headers` in place of its own.

    Raises
    ------
    aiohttp.ClientError
        The answer broke off. What has been sent cannot be taken back: the client's connection is closed, so that a
        truncated body never looks whole.
    """
    response = Relayed(answer.status, answer.reason, headers)
    await response.prepare(request)
    try:
        if request.method != "HEAD":
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
    except aiohttp.ClientError:
        if request.transport is not None:
            request.transport.abort()
        raise
    await response.write_eof()
    return response
