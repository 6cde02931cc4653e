"""Reading request bodies: never more than was asked for, and never JSON that two readers would read differently."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.requests import ClientDisconnect, Request

from isikit.errors.tree import NotJson, TooLarge, TooSlow
from isikit.host import context
from isikit.host.timeouts import TimeLimit

BODY_LIMIT_BYTES = 256 * 1024
BODY_SECONDS = 10.0
MAX_DEPTH = 32


async def read_body(request: Request, limit: int = BODY_LIMIT_BYTES) -> bytes:
    """The whole body.

    Parameters
    ----------
    request
        The request; its body must not have been read.
    limit
        Bytes. A larger body is refused as soon as that is known, by its Content-Length or while it comes.

    Raises
    ------
    TooLarge
        413.
    TooSlow
        408: it takes too long to come. The platform would end the whole instance, with everybody else's requests.
    """
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    current = context.current_or_none()
    remaining = current.deadline.remaining() if current else BODY_SECONDS
    try:
        with TimeLimit(min(BODY_SECONDS, remaining * 0.9)):  # the rest is for saying so
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise _too_large(limit)
                more = message.get("more_body", False)
    except TimeoutError:
        raise TooSlow from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_json(request: Request, limit: int = BODY_LIMIT_BYTES) -> object:
    """The body as one JSON document (`parse_json`), whatever its Content-Type says.

    Raises
    ------
    TooLarge, NotJson
        413 and 400.
    """
    return parse_json(await read_body(request, limit))


def parse_json(data: bytes) -> object:
    """One JSON document (RFC 8259) that every reader would read the same.

    Strings may hold lone surrogates (`"\\ud800"` is JSON): whether a text can be spoken is not decided here.

    Raises
    ------
    NotJson
        Broken, not UTF-8, a repeated name, NaN or Infinity (also by overflow, 1e999), or nested more than 32 deep.
    """
    try:
        document = _decoder.decode(data.decode())
    except (ValueError, RecursionError):
        # `from None`: the cause carries the whole body (`JSONDecodeError.doc`), and the body is the text.
        raise NotJson from None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(document)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("repeated name")
    return made


def _no_constant(_: str) -> float:
    raise ValueError("not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("number too large")
    return value


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"This endpoint reads at most {limit} bytes.")


def _check_depth(document: object) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise NotJson
