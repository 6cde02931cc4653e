"""Fetches a key set from an address that the operator wrote down: strictly, and at most 64 KB of it."""

from __future__ import annotations

import asyncio

from isikit.public_http import FetchError, exchange

__all__ = ["FetchError", "fetch"]

BODY_LIMIT_BYTES = 64 * 1024
HEAD_LIMIT_BYTES = 16 * 1024
_READ_BYTES = 16 * 1024


async def fetch(url: str, seconds: float, *, loopback: bool = False) -> bytes:
    """The document at `url`, see `public_http.exchange`.

    Raises
    ------
    FetchError
        As `exchange`, and `status`, `size`, `broken`.
    """
    return await exchange(url, _request, _answer, seconds, loopback=loopback)


def _request(target: str, host: str) -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        "Accept-Encoding: identity\r\nUser-Agent: speech-functions\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


class _Answer:
    """What httptools' parser reports."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.head_bytes = 0
        self.framed = False
        self.encoded = False
        self.complete = False

    def on_status(self, text: bytes) -> None:
        self.head_bytes += len(text)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value)
        folded = name.lower()
        self.framed |= folded in (b"content-length", b"transfer-encoding")
        self.encoded |= folded == b"content-encoding" and value.strip().lower() != b"identity"

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The body of a 200. Everything else is an error, redirects too."""
    import httptools

    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    received = 0
    while not answer.complete:
        data = await reader.read(_READ_BYTES)
        received += len(data)
        if not data:
            break
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            raise FetchError("broken") from None
        # Counted before parsing too: interim answers and endless headers are never reported.
        if len(answer.body) > BODY_LIMIT_BYTES or received > 2 * BODY_LIMIT_BYTES + HEAD_LIMIT_BYTES:
            raise FetchError("size")
        if answer.head_bytes > HEAD_LIMIT_BYTES:
            raise FetchError("size")
    if parser.get_status_code() != 200:
        raise FetchError("status")
    if answer.encoded or (answer.framed and not answer.complete):
        raise FetchError("broken")
    return bytes(answer.body)
