"""Calls by pages in browsers: from the origins that the tenants file lists, and no others.

Function Compute answers every cross-origin request with headers of its own unless a `corsConfig` says otherwise: it
reflects any origin and allows credentials (page "HTTP triggers overview"). So the headers set here are not what keeps a
foreign page out. A request that names an origin which its own tenant does not list is refused, whatever it carries.
Nothing here is authenticated by a cookie: a page can only send what it was given.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from isikit.errors import Forbidden
from isikit.tenants import Tenant, TenantsFile

METHODS: Final = "POST"
HEADERS: Final = "Authorization, Content-Type, Traceparent, X-Api-Key, X-Authorization, X-Call-Id"
EXPOSED: Final = "RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"
PREFLIGHT_SECONDS: Final = 600  # a page may remember the permission for so long
_VARY: Final = {"Vary": "Origin"}


def preflight(headers: Headers, tenants: TenantsFile) -> Response:
    """The answer to OPTIONS, which carries no proof of who asks: yes to an origin that some tenant lists.

    Raises
    ------
    Forbidden
        403 `identity.origin`: no tenant lists it.
    """
    origin = _origin(headers)
    if origin is None or not any(origin in tenant.origins for tenant in tenants.tenants):
        raise _foreign()
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            **_VARY,
        },
    )


def headers_for(headers: Headers, tenant: Tenant) -> dict[str, str]:
    """What the answer to a tenant's own request carries, its errors too; only `Vary` where no page is asking.

    Raises
    ------
    Forbidden
        403 `identity.origin`: the page's origin is not one of this tenant's.
    """
    sent = _sent(headers)
    if not sent:
        return _VARY
    origin = sent[0] if len(sent) == 1 else None
    if origin is None or origin not in tenant.origins:
        raise _foreign()
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED, **_VARY}


def _origin(headers: Headers) -> str | None:
    """The one origin that was sent."""
    sent = _sent(headers)
    return sent[0] if len(sent) == 1 else None


def _sent(headers: Headers) -> list[str]:
    """All origins that were sent."""
    return [value.decode("latin-1") for name, value in headers.raw if name == b"origin"]


def _foreign() -> Forbidden:
    return Forbidden("Pages of this origin may not call this.", code="identity.origin")
