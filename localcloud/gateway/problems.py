"""The gateway's own errors, as RFC 9457 problem documents in the shape that the functions use."""

from __future__ import annotations

import json
import uuid

from aiohttp import web

_TITLES = {400: "Bad Request", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def problem(status: int, code: str, detail: str, *, retry_after: int | None = None) -> web.Response:
    """A problem document with `code, status, title, detail, request_id` and `retry_after` where it applies."""
    body: dict[str, object] = {
        "type": "about:blank",
        "code": code,
        "status": status,
        "title": _TITLES[status],
        "detail": detail,
        "request_id": str(uuid.uuid4()),
    }
    headers = {}
    if retry_after is not None:
        body["retry_after"] = retry_after
        headers["Retry-After"] = str(retry_after)
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/problem+json", headers=headers
    )
