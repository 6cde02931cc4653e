"""The body of a request on its way to a function."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web

from localcloud.fc.errors import FcError, invalid

_BUFFERED_BYTES = 1024 * 1024


class Body:
    """A request's body: small ones read whole, so that an idempotent call can be repeated; others streamed."""

    def __init__(self, data: bytes | AsyncIterator[bytes] | None) -> None:
        self.data = data
        self.refusal: FcError | None = None

    @property
    def buffered(self) -> bool:
        """Whether all of it is here."""
        return self.data is None or isinstance(self.data, bytes)

    @classmethod
    async def of(cls, request: web.Request, limit: int, stall_seconds: float) -> Body:
        """The body of `request`; beyond `limit` bytes the stream raises `FcError`, kept in `refusal`.

        A client that sends nothing for `stall_seconds` in mid-body is told 408 and let go.
        """
        if not request.body_exists:
            return cls(None)
        if request.content_length is not None and request.content_length <= _BUFFERED_BYTES:
            return cls(b"".join([chunk async for chunk in pieces(request, stall_seconds)]))
        body = cls(None)
        body.data = body._stream(request, limit, stall_seconds)
        return body

    def sent(self) -> Any:
        """What to give to the client session; bytes in a file, or aiohttp warns of large ones."""
        return io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data

    async def read(self, limit: int) -> bytes:
        """All of it; `FcError` 400 beyond `limit` bytes."""
        data = bytearray()
        if isinstance(self.data, bytes):
            data += self.data
        elif self.data is not None:
            async for chunk in self.data:
                data += chunk
                if len(data) > limit:
                    break
        if len(data) > limit:
            raise invalid(f"the request body is larger than {limit} bytes")
        return bytes(data)

    async def _stream(self, request: web.Request, limit: int, stall_seconds: float) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in pieces(request, stall_seconds):
                size += len(chunk)
                if size > limit:
                    raise invalid(f"the request body is larger than {limit} bytes")
                yield chunk
        except FcError as error:
            self.refusal = error  # the connection to the instance breaks off with an error of its own
            raise


async def pieces(request: web.Request, stall_seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises
    ------
    FcError
        408 when nothing came for `stall_seconds`, 400 when the body broke off.
    """
    content = request.content
    while not content.at_eof():
        try:
            async with asyncio.timeout(stall_seconds):
                chunk = await content.readany()
        except TimeoutError as error:
            raise FcError(408, "RequestTimeout", "the request body did not come in time") from error
        except (aiohttp.ClientPayloadError, web.RequestPayloadError) as error:
            raise invalid("the request body broke off or is not framed as HTTP says") from error
        if chunk:
            yield chunk
