"""Answers: JSON by msgspec, errors as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from isikit.errors.problem import problem, retry_after
from isikit.errors.tree import IdentityError, IsiError
from isikit.host import context

PROBLEM = "application/problem+json"
NEVER_STORE = "no-store, max-age=0"


_encode = msgspec.json.Encoder().encode


class _Json(Response):
    """Starlette's, with its headers written at once: its own way there takes as long as the rest of an answer."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(struct: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An `application/json` answer of anything msgspec can encode (Structs, dataclasses, dicts)."""
    return _Json(_encode(struct), status, headers)


def problem_response(error: IsiError, headers: Mapping[str, str] | None = None) -> Response:
    """An `application/problem+json` answer, never to be stored.

    FreeSWITCH's mod_http_cache does not know `no-store` and would keep it for a day, hence `max-age=0` too.

    `Retry-After` comes with `retry_after`, and `WWW-Authenticate` with 401, as RFC 9110 demands.
    """
    request = context.current_or_none()
    answer = Response(
        msgspec.json.encode(problem(error, request.request_id if request else "")), error.status, headers, PROBLEM
    )
    answer.headers["Cache-Control"] = NEVER_STORE
    if (seconds := retry_after(error)) is not None:
        answer.headers["Retry-After"] = str(seconds)
    if isinstance(error, IdentityError) and error.status == 401:
        answer.headers["WWW-Authenticate"] = 'ApiKey realm="speech"'
    return answer
