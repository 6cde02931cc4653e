"""`/openapi.json`: what this function answers to, written by hand and held to the code by tests."""

from __future__ import annotations

from typing import Any, Final

from functions.leases.request import USES

Json = dict[str, Any]

_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_SECONDS: Final[Json] = {"type": "integer", "minimum": 0}
_URL: Final[Json] = {"type": "string", "format": "uri"}


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _problem(description: str) -> Json:
    schema = {"$ref": "#/components/schemas/LeaseProblem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_REQUEST: Final[Json] = {
    **_object(
        {
            "use": {"enum": list(USES), "description": "decides what start_params holds"},
            "locale": {"type": "string", "examples": ["zh-CN"], "description": "the tenant's default otherwise"},
            "sample_rate_hz": {"enum": [8000, 16000], "description": "16000 otherwise, where the tenant has it"},
        }
    ),
    "required": [],
}
_LEASE: Final = _object(
    {
        "token": {"type": "string", "description": "all speech rights of the account until expires_at: keep it secret"},
        "expires_at": _TIME,
        "expires_in": {**_SECONDS, "minimum": 600},
        "refresh_at": {**_TIME, "description": "when to ask for the next one"},
        "refresh_in": _SECONDS,
        "appkey": {"type": "string"},
        "start_params": {
            "type": "object",
            "description": "for the payload of the speech service's start message",
            "properties": {
                "format": {"const": "pcm"},
                "sample_rate": {"enum": [8000, 16000]},
                "voice": {"type": "string", "description": "with use tts, where the tenant has a default"},
            },
            "required": ["format", "sample_rate"],
            "additionalProperties": False,
        },
        "tenant": {"type": "string"},
        "region": {"type": "string"},
        "endpoints": _object({"websocket": _URL, "rest": _URL}),
    }
)
_PROBLEM: Final[Json] = {
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
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "code": {"type": "string"}, "allowed": {}},
                "required": ["field", "code"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["type", "code", "status", "title", "detail", "request_id"],
}

DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {"title": "Leases: short-lived speech tokens", "version": "1"},
    "security": [{"ApiKey": []}],
    "paths": {
        "/v1/token": {
            "post": {
                "operationId": "lease_token",
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LeaseRequest"}}},
                },
                "responses": {
                    "200": {
                        "description": "A token that lives at least 600 s; not to be stored by anything in between",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Lease"}}},
                    },
                    "400": _problem("Every mistake, in errors"),
                    "401": _problem("The key is missing or wrong"),
                    "403": _problem("Leases are not allowed to this tenant"),
                    "413": _problem("The body is too large"),
                    "500": _problem("The tenant or the deployment is not configured for leases"),
                    "502": _problem("The token API refused"),
                    "503": _problem("Try again after Retry-After"),
                },
            }
        },
        "/openapi.json": {
            "get": {"operationId": "describe_leases", "security": [], "responses": {"200": {"description": "This"}}}
        },
    },
    "components": {
        "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
        "schemas": {"LeaseRequest": _REQUEST, "Lease": _LEASE, "LeaseProblem": _PROBLEM},
    },
}
"""OpenAPI 3.1."""
