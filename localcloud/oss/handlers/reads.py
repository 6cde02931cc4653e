"""GetObject, HeadObject, GetObjectMeta."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.conditions import Conditions, byte_range, http_date
from localcloud.oss.errors import invalid_argument
from localcloud.oss.handlers.headers import version_headers
from localcloud.oss.operation import RESPONSE_OVERRIDES
from localcloud.oss.records import APPENDABLE, StoredObject
from localcloud.oss.threads import Threads

IN_MEMORY_BYTES = 1 << 20
PIECE_BYTES = 256 * 1024


class _Piece:
    """A part of an open blob. The file is closed when read to its end, or when nobody holds this any more."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._length = length

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from `offset` within the part; short only at its end."""
        size = min(size, self._length - offset)
        data = os.pread(self._descriptor, size, self._start + offset)
        if len(data) != size:
            raise OSError("the blob is shorter than its object")
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


async def get_object(call: Call) -> web.Response:
    """The object's bytes, or a range of them, if the request's conditions hold."""
    store, headers = call.service.store, call.headers
    standard, version = headers.get("x-oss-range-behavior", "") == "standard", _version(call)

    def find() -> tuple[StoredObject, tuple[int, int] | None, _Piece | bytes]:
        stored, file = store.open(call.bucket, call.key, version)
        with file:
            Conditions.of(headers).check(stored)
            span = byte_range(headers.get("range", ""), stored.size, standard=standard)
            start, length = (span[0], span[1] - span[0] + 1) if span else (0, stored.size)
            piece = _Piece(os.dup(file.fileno()), start, length)
        if length > IN_MEMORY_BYTES:
            return stored, span, piece
        try:
            return stored, span, piece.read(0, length)
        finally:
            piece.close()

    stored, span, content = await call.service.threads.run(find)
    answer = describe(stored)
    for name, header in RESPONSE_OVERRIDES.items():
        value = call.target.first(name)
        if value:
            if not value.isprintable():
                raise invalid_argument("The value is not a header's.", name, ascii(value))
            answer[header] = value
    length = stored.size
    if span:
        length = span[1] - span[0] + 1
        answer["Content-Range"] = f"bytes {span[0]}-{span[1]}/{stored.size}"
        answer.pop("Content-MD5", None)
    answer["Content-Length"] = str(length)
    body = content if isinstance(content, bytes) else _stream(content, length, call.service.threads)
    return web.Response(status=206 if span else 200, body=body, headers=answer)


async def _stream(piece: _Piece, length: int, threads: Threads) -> AsyncIterator[bytes]:
    try:
        for offset in range(0, length, PIECE_BYTES):
            yield await threads.run(piece.read, offset, PIECE_BYTES)
    finally:
        piece.close()


async def head_object(call: Call) -> web.Response:
    """All that GetObject says of an object, without its bytes."""
    stored = await call.service.threads.run(call.service.store.head, call.bucket, call.key, _version(call))
    Conditions.of(call.headers).check(stored)
    return web.Response(headers={**describe(stored), "Content-Length": str(stored.size)})


async def get_object_meta(call: Call) -> web.Response:
    """ETag, size and time only (`?objectMeta`)."""
    stored = await call.service.threads.run(call.service.store.head, call.bucket, call.key, _version(call))
    headers = {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": http_date(stored.modified_at),
        "x-oss-hash-crc64ecma": str(stored.crc64),
        "Content-Length": str(stored.size if call.target.method == "HEAD" else 0),
        **version_headers(stored),
    }
    return web.Response(headers=headers)


def _version(call: Call) -> str:
    return call.target.first("versionId") or ""


def describe(stored: StoredObject) -> dict[str, str]:
    """The headers that describe an object, all but its length."""
    headers = {
        "Content-Type": stored.attributes.content_type,
        "ETag": f'"{stored.etag}"',
        "Last-Modified": http_date(stored.modified_at),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": stored.object_type,
        "x-oss-hash-crc64ecma": str(stored.crc64),
        "x-oss-storage-class": "Standard",
        **version_headers(stored),
    }
    if stored.attributes.tags:
        headers["x-oss-tagging-count"] = str(len(stored.attributes.tags))
    if stored.content_md5:
        headers["Content-MD5"] = stored.content_md5
    if stored.object_type == APPENDABLE:
        headers["x-oss-next-append-position"] = str(stored.size)
    for name, value in stored.attributes.headers.items():
        headers[name.title()] = value
    for name, value in stored.attributes.metadata.items():
        headers[f"x-oss-meta-{name}"] = value
    return headers
