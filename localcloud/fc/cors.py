"""Cross-origin headers of an HTTP trigger.

Without a `corsConfig` Function Compute reflects any Origin, with credentials, and that outranks what the function set
(page http-triggers-overview; the list of exposed headers is that of the vendor's own local server). Preflights are
answered by the platform unless the trigger's methods include OPTIONS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

EXPOSED = (
    "Date,x-fc-request-id,x-fc-error-type,x-fc-code-checksum,x-fc-invocation-duration,x-fc-max-memory-usage,"
    "x-fc-log-result,x-fc-invocation-code-version"
)
_MAX_AGE_SECONDS = 3600


def apply(headers: CIMultiDict[str], origin: str, config: Mapping[str, Any] | None) -> None:
    """Set the headers of an answer to a request that has an Origin."""
    if config is None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = EXPOSED
        return
    if not _allowed(origin, config):
        return
    headers["Access-Control-Allow-Origin"] = origin
    if config.get("allowCredentials"):
        headers["Access-Control-Allow-Credentials"] = "true"
    if config.get("exposeHeaders"):
        headers["Access-Control-Expose-Headers"] = ",".join(config["exposeHeaders"])


def preflight(request: web.Request, methods: Sequence[str], config: Mapping[str, Any] | None) -> web.Response:
    """Answer an OPTIONS request in place of the function."""
    origin = request.headers.get("Origin", "")
    headers: CIMultiDict[str] = CIMultiDict()
    if origin and (config is None or _allowed(origin, config)):
        apply(headers, origin, config)
        asked = request.headers.get("Access-Control-Request-Headers", "")
        given = config or {}
        headers["Access-Control-Allow-Methods"] = ",".join(given.get("allowMethods") or methods)
        headers["Access-Control-Allow-Headers"] = ",".join(given.get("allowHeaders") or [asked])
        headers["Access-Control-Max-Age"] = str(given.get("maxAge") or _MAX_AGE_SECONDS)
    return web.Response(status=200, headers=headers)


def _allowed(origin: str, config: Mapping[str, Any]) -> bool:
    origins = config.get("allowOrigins") or []
    return "*" in origins or origin in origins
