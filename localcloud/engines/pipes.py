"""Messages between the engine and its child: a JSON head and a body of bytes, each with its length in front."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, BinaryIO

Head = dict[str, Any]
_LENGTHS = struct.Struct(">II")


def pack(head: Head, body: bytes = b"") -> bytes:
    """One message on the wire."""
    encoded = json.dumps(head).encode()
    return _LENGTHS.pack(len(encoded), len(body)) + encoded + body


def read(stream: BinaryIO) -> tuple[Head, bytes] | None:
    """The next message, or None at the end of the stream (also in the middle of a message)."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, body_bytes = _LENGTHS.unpack(lengths)
    head, body = stream.read(head_bytes), stream.read(body_bytes)
    if len(head) < head_bytes or len(body) < body_bytes:
        return None
    return json.loads(head), body


async def read_async(stream: asyncio.StreamReader) -> tuple[Head, bytes] | None:
    """The same from an asyncio stream."""
    try:
        head_bytes, body_bytes = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
        return json.loads(await stream.readexactly(head_bytes)), await stream.readexactly(body_bytes)
    except asyncio.IncompleteReadError:
        return None
