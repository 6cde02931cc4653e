"""The traditional API Gateway's event, made into a call of the application. Off sale, still running: a small adapter.

The gateway invokes a function with a request packed into an event, `{path, httpMethod, headers, queryParameters,
pathParameters, body, isBase64Encoded}`, and takes `{isBase64Encoded, statusCode, headers, body}` for an answer
(Function Compute, "API Gateway trigger"). Who called stands in headers that the gateway was configured to add: the
system parameter `CaAppId`, and a constant parameter with a secret. They are taken out of the headers here and judged
by `isikit.identity`; over HTTP the same headers are worth nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.types import ASGIApp, Message, Scope

from isikit.errors.tree import RequestError, TooLarge

CALL: Final = "isikit.traditional_gateway"
"""Where in the ASGI scope the `GatewayCall` is. Nobody outside can put something into a scope."""
APP_ID: Final = "caappid"
APP_SECRET: Final = "x-app-secret"  # noqa: S105 - a header's name
ANSWER_LIMIT_BYTES: Final = 16 * 1024 * 1024
_DROPPED: Final = frozenset({APP_ID, APP_SECRET, "content-length", "transfer-encoding", "connection", "upgrade"})


@dataclass(frozen=True, slots=True)
class GatewayCall:
    """What the event says of its caller: believed only when the secret is right. Empty when not said, or twice."""

    app_id: str
    secret: str = field(repr=False)


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    path: str
    http_method: str
    headers: dict[str, str] = {}
    query_parameters: dict[str, str] = {}
    body: str = ""
    is_base64_encoded: bool = msgspec.field(default=False, name="isBase64Encoded")


class _Marked(msgspec.Struct, frozen=True, rename="camel"):
    """What no other event has."""

    path: msgspec.UnsetType | Any = msgspec.UNSET
    http_method: msgspec.UnsetType | Any = msgspec.UNSET


def is_call(event: bytes) -> bool:
    """Whether the traditional gateway's form is meant: an object with `path` and `httpMethod`."""
    try:
        found = msgspec.json.decode(event, type=_Marked)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return found.path is not msgspec.UNSET and found.http_method is not msgspec.UNSET


async def answer(app: ASGIApp, event: bytes) -> dict[str, object]:
    """Let `app` answer the request that is packed into `event`.

    Returns
    -------
    dict
        The answer in the gateway's form: text as it is, anything else as Base64.

    Raises
    ------
    RequestError
        The event does not have the form.
    TooLarge
        The answer is longer than 16 MB.
    """
    scope, body = _request(event)
    requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    start: Message = {}
    parts: list[bytes] = []
    size = 0

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await asyncio.Event().wait()  # the gateway never hangs up
        raise AssertionError("unreachable")

    async def send(message: Message) -> None:
        nonlocal size
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > ANSWER_LIMIT_BYTES:
                raise TooLarge("The answer is too large for the traditional gateway.")

    await app(scope, receive, send)
    return _packed(start, b"".join(parts))


def _request(event: bytes) -> tuple[Scope, bytes]:
    try:
        call = msgspec.json.decode(event, type=_Event)
        body = base64.b64decode(call.body, validate=True) if call.is_base64_encoded else call.body.encode()
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in call.headers.items()]
        raw_path, query = quote(call.path), urlencode(call.query_parameters)
        method = call.http_method.upper()
    except (msgspec.DecodeError, UnicodeError, binascii.Error):
        raise RequestError("The event is not the traditional gateway's.") from None
    if not call.path.startswith("/") or not (method.isascii() and method.isalpha()):
        raise RequestError("The event is not the traditional gateway's.")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": call.path,
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            *((name, value) for name, value in raw if _is_passed_on(name.decode("latin-1"))),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": None,
        "server": None,
        "state": {},
        CALL: GatewayCall(_once(raw, APP_ID), _once(raw, APP_SECRET)),
    }
    return scope, body


def _is_passed_on(name: str) -> bool:
    return name not in _DROPPED and not name.startswith("x-fc-")


def _once(raw: list[tuple[bytes, bytes]], name: str) -> str:
    """The header's value; empty when it is not there, or in two spellings, of which one may be the client's."""
    values = [value.decode("latin-1") for found, value in raw if found == name.encode()]
    return values[0] if len(values) == 1 else ""


def _packed(start: Message, body: bytes) -> dict[str, object]:
    headers: dict[str, str] = {}
    for name, value in start["headers"]:
        told, text = name.decode("latin-1"), value.decode("latin-1")
        headers[told] = f"{headers[told]}, {text}" if told in headers else text
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    return {"isBase64Encoded": encoded, "statusCode": start["status"], "headers": headers, "body": text}
