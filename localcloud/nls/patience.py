"""Clients that are slow or send too much: bounded, so that none of them holds a place of the quota for ever.

How long the real service waits is not documented: the bounds are our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from localcloud.nls.status import CLIENT_ERROR, Refusal


@contextmanager
def reading_client(request: web.Request, seconds: float) -> Iterator[None]:
    """Cut the connection when the client does not take within `seconds` what is written inside."""

    def give_up() -> None:
        if request.transport is not None:
            request.transport.abort()

    timer = asyncio.get_running_loop().call_later(seconds, give_up)
    try:
        yield
    finally:
        timer.cancel()


async def body_of(request: web.Request, *, limit_bytes: int, seconds: float) -> bytes:
    """The whole body.

    Raises
    ------
    Refusal
        40000000 with HTTP 413 when it is larger than `limit_bytes`, with HTTP 408 when nothing came for `seconds`, and
        with HTTP 400 when it broke off.
    """
    if (request.content_length or 0) > limit_bytes:
        raise _too_large(limit_bytes)
    body = bytearray()
    while True:
        try:
            async with asyncio.timeout(seconds):
                part = await request.content.readany()
        except TimeoutError as error:
            words = f"Gateway:CLIENT_ERROR:no data of the body for {seconds:g} s"
            raise Refusal(CLIENT_ERROR, words, http=408) from error
        except (web.HTTPException, OSError, ValueError) as error:
            raise Refusal(CLIENT_ERROR, "Gateway:CLIENT_ERROR:the body broke off") from error
        if not part:
            return bytes(body)
        body += part
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)


def _too_large(limit_bytes: int) -> Refusal:
    return Refusal(CLIENT_ERROR, f"Gateway:CLIENT_ERROR:the body is larger than {limit_bytes} bytes", http=413)
