"""What the OpenAPI documents of all functions say alike: who may call, what a refusal is, what limits tell.

A gateway in front shows them as one document, so that what has one name has to be one thing.
"""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Json, *, optional: tuple[str, ...] = ()) -> Json:
    """The schema of an object that has all of these properties but the optional ones, and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def problem(description: str) -> Json:
    """The response of an error."""
    return {"description": description, "content": {"application/problem+json": {"schema": ref("Problem")}}}


SECURITY: Final[list[Json]] = [{"ApiKey": []}, {"Bearer": []}]
SECURITY_SCHEMES: Final[Json] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
"""The doors that a caller chooses himself; consumers of gateways are known by what the gateway adds."""

RATE_HEADERS: Final[Json] = {
    name: {"schema": {"type": "string"}}
    for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")
}
"""Of every answer that counts against a rate."""
UNKNOWN_CALLER: Final = problem("The caller is not known")
LIMITED: Final[Json] = {
    **problem("A rate or the day's quota is used up; see Retry-After"),
    "headers": RATE_HEADERS,
}
TRY_AGAIN: Final = problem("Try again after Retry-After")

PROBLEM: Final[Json] = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string"},
        "code": {"type": "string", "description": "stable, for programs"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "retry_after": {"type": "integer", "description": "seconds"},
        "errors": {
            "type": "array",
            "items": closed(
                {"field": {"type": "string"}, "code": {"type": "string"}, "allowed": {}}, optional=("allowed",)
            ),
        },
    },
    "required": ["type", "code", "status", "title", "detail", "request_id"],
}
"""The schema `Problem`."""
