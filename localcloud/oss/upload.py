"""Receiving a body: streamed to a temporary file in pieces, so that memory stays bounded whatever the object's size."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator
from types import TracebackType

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from localcloud.oss import tags
from localcloud.oss.blobs import Spool
from localcloud.oss.call import Call, Service
from localcloud.oss.errors import OssError, invalid_argument
from localcloud.oss.records import Attributes
from localcloud.oss.signatures import Headers

PIECE_BYTES = 512 * 1024
MAX_METADATA_BYTES = 8 * 1024
DEFAULT_CONTENT_TYPE = "application/octet-stream"
_KEPT_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_META = "x-oss-meta-"
_META_NAME = re.compile(r"[a-z0-9-]+")  # an underscore is refused


def attributes_of(headers: Headers) -> Attributes:
    """What the headers of an upload or of a replacing copy say about the object."""
    metadata = {name[len(_META) :]: value for name, value in headers.items() if name.startswith(_META)}
    for name, value in metadata.items():
        if not _META_NAME.fullmatch(name):
            raise invalid_argument("The user metadata's name is not valid.", _META + name, "", "0011-00000004")
        if not (value.isascii() and value.isprintable()):
            raise invalid_argument(
                "The user metadata's value is not valid.", _META + name, ascii(value), "0011-00000005"
            )
    size = sum(len(name) + len(value) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise invalid_argument("The size of the user metadata exceeds 8 KB.", "x-oss-meta", str(size), "0011-00000002")
    kept = {name: headers[name] for name in ("content-type", *_KEPT_HEADERS) if headers.get(name)}
    for name, value in kept.items():
        if not value.isprintable():
            raise invalid_argument("The value is not UTF-8.", name, ascii(value))
    return Attributes(
        kept.pop("content-type", DEFAULT_CONTENT_TYPE), kept, metadata, tags.from_header(headers.get("x-oss-tagging"))
    )


async def send_continue(request: web.Request) -> None:
    """Answer `Expect: 100-continue`, now that the headers were found good: a refusal comes without the body."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # what aiohttp's own handler does: the answer itself has not begun


async def pieces(request: web.Request, stall_seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises
    ------
    OssError
        `RequestTimeout` when nothing came for `stall_seconds`, `IncompleteBody` when its framing is broken.
    """
    loop, content = asyncio.get_running_loop(), request.content
    while True:
        timer = loop.call_later(stall_seconds, content.set_exception, OssError("RequestTimeout"))
        try:
            piece = await content.readany()
        except (web.RequestPayloadError, HttpProcessingError, PayloadEncodingError) as exc:
            raise OssError("IncompleteBody") from exc
        finally:
            timer.cancel()
        if not piece:
            return
        yield piece


async def read_small(call: Call, limit: int) -> bytes:
    """The whole body of a request that carries a document of at most `limit` bytes."""
    await send_continue(call.request)
    body = bytearray()
    async for piece in pieces(call.request, call.service.stall_seconds):
        body += piece
        if len(body) > limit:
            raise OssError("MalformedXML")
    return bytes(body)


class Upload:
    """The body of one request. Use as a context manager around everything that may fail before the commit.

    `receive` (or `add`, piece by piece) streams it in; `finish`, which blocks, checks it against Content-MD5 and
    returns the spool to commit. `size` counts the bytes; `content_md5` is known when it is finished.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = service.store
        self._threads = service.threads
        self._pending = bytearray()
        self._spool: Spool | None = None
        self._md5 = b""
        self.size = 0
        self.content_md5 = ""

    async def __aenter__(self) -> Upload:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spool is not None:
            await self._threads.run(self.discard)

    async def receive(self, request: web.Request) -> None:
        """Read the body.

        Raises
        ------
        OssError
            `MissingContentLength`, `EntityTooLarge` (before reading when the length is declared), `InvalidDigest`.
        """
        self.expect_md5(request.headers.get("Content-MD5"))
        length, limit = request.content_length, self._store.max_object_bytes
        if length is None and "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
            raise OssError("MissingContentLength")
        if length is not None and length > limit:
            raise _too_large(length, limit)
        await send_continue(request)
        async for piece in pieces(request, self._service.stall_seconds):
            await self.add(piece)

    def expect_md5(self, text: str | None) -> None:
        """What the body must have as MD5, in base64; `InvalidDigest` if it is none."""
        self._md5 = _declared_md5(text)

    async def add(self, piece: bytes) -> None:
        """Take in the next bytes; `EntityTooLarge`."""
        self.size += len(piece)
        if self.size > self._store.max_object_bytes:
            raise _too_large(self.size, self._store.max_object_bytes)
        self._pending += piece
        if len(self._pending) >= PIECE_BYTES:
            await self._threads.run(self._flush)

    def finish(self) -> Spool:
        """The complete, checked spool; `InvalidDigest` if it is not what Content-MD5 promised. Blocks."""
        spool = self._flush()
        self.content_md5 = base64.b64encode(spool.checksums.md5).decode()
        if self._md5 and self._md5 != spool.checksums.md5:
            raise OssError("InvalidDigest", fields={"Content-MD5": base64.b64encode(self._md5).decode()})
        return spool

    def discard(self) -> None:
        """Remove the temporary file if it is still there. Blocks."""
        if self._spool is not None:
            self._spool.discard()
            self._spool = None

    def _flush(self) -> Spool:
        if self._spool is None:
            self._spool = self._store.spool()
        self._spool.write(bytes(self._pending))
        self._pending.clear()
        return self._spool


def _declared_md5(text: str | None) -> bytes:
    if text is None:
        return b""
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise OssError("InvalidDigest", fields={"Content-MD5": text}) from exc
    if len(digest) != 16:
        raise OssError("InvalidDigest", fields={"Content-MD5": text})
    return digest


def _too_large(size: int, limit: int) -> OssError:
    return OssError("EntityTooLarge", fields={"MaxSizeAllowed": str(limit), "ProposedSize": str(size)})
