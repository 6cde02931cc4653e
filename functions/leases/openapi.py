"""`/openapi.json`: what this function answers to, written by hand and held to the code by tests."""

from __future__ import annotations

from typing import Final

from functions.leases.recording import CONTENT_TYPES, DIRECTIONS, KINDS, MAX_BYTES, MAX_METADATA_CHARACTERS, METADATA
from functions.leases.request import USES
from isikit.openapi import (
    LIMITED,
    PROBLEM,
    RATE_HEADERS,
    SECURITY,
    SECURITY_SCHEMES,
    TRY_AGAIN,
    UNKNOWN_CALLER,
    Json,
    closed,
    problem,
    ref,
)

_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_SECONDS: Final[Json] = {"type": "integer", "minimum": 0}
_URL: Final[Json] = {"type": "string", "format": "uri"}


_REQUEST: Final[Json] = {
    **closed(
        {
            "use": {"enum": list(USES), "description": "decides what start_params holds"},
            "locale": {"type": "string", "examples": ["zh-CN"], "description": "the tenant's default otherwise"},
            "sample_rate_hz": {"enum": [8000, 16000], "description": "16000 otherwise, where the tenant has it"},
        }
    ),
    "required": [],
}
_LEASE: Final = closed(
    {
        "token": {"type": "string", "description": "all speech rights of the account until expires_at: keep it secret"},
        "expires_at": _TIME,
        "expires_in": {**_SECONDS, "minimum": 60, "description": "the tenant's minimum (600) or more"},
        "refresh_at": {**_TIME, "description": "when to ask for the next one; another moment for each lease"},
        "refresh_in": _SECONDS,
        "appkey": {"type": "string"},
        "start_params": {
            "type": "object",
            "description": "for the payload of the speech service's start message",
            "properties": {
                "format": {"const": "pcm"},
                "sample_rate": {"enum": [8000, 16000]},
                "enable_intermediate_result": {"const": True, "description": "with use realtime_asr"},
                "enable_punctuation_prediction": {"const": True, "description": "with both uses of recognition"},
                "enable_inverse_text_normalization": {"const": True, "description": "with both uses of recognition"},
                "voice": {"type": "string", "description": "with use tts, where the tenant has a default"},
            },
            "required": ["format", "sample_rate"],
            "additionalProperties": False,
        },
        "tenant": {"type": "string"},
        "region": {"type": "string"},
        "endpoints": closed({"websocket": _URL, "rest": _URL}),
    }
)
_LINE: Final[Json] = {"type": "string", "minLength": 1, "maxLength": MAX_METADATA_CHARACTERS}
_METADATA: Final[Json] = {
    **closed(dict.fromkeys(METADATA, _LINE)),
    "required": [],
    "description": "what is known of the call; kept as x-oss-meta-*, percent-encoded UTF-8",
}
_METADATA["properties"] |= {"direction": {"enum": list(DIRECTIONS)}, "started_at": _TIME}
_UPLOAD: Final[Json] = {
    **closed(
        {
            "kind": {"enum": list(KINDS), "default": "form", "description": "PostObject for browsers, or a PUT"},
            "extension": {"enum": list(CONTENT_TYPES)},
            "content_type": {"type": "string", "examples": ["audio/wav"], "description": "instead of the extension"},
            "size_bytes": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_BYTES,
                "description": "the exact size; a PUT must say it",
            },
            "metadata": _METADATA,
        }
    ),
    "required": [],
    "anyOf": [{"required": ["extension"]}, {"required": ["content_type"]}],
}
_TEXTS: Final[Json] = {"type": "object", "additionalProperties": {"type": "string"}}
_SLOT: Final = closed(
    {
        "kind": {"enum": list(KINDS)},
        "method": {"enum": ["POST", "PUT"]},
        "url": _URL,
        "headers": {**_TEXTS, "description": "of a PUT: all of them, as they are"},
        "fields": {**_TEXTS, "description": "of a form: all of them, as they are, before the field `file`"},
        "bucket": {"type": "string"},
        "key": {"type": "string", "description": "in/{tenant}/{yyyy}/{mm}/{dd}/{uuid}.{extension}, the day in UTC"},
        "content_type": {"enum": sorted(set(CONTENT_TYPES.values()))},
        "max_bytes": {"type": "integer", "description": "the exact size where size_bytes was given"},
        "expires_at": _TIME,
        "expires_in": _SECONDS,
    }
)
_REFUSALS: Final[Json] = {
    "400": problem("Every mistake, in errors"),
    "401": UNKNOWN_CALLER,
    "408": problem("The body came too slowly"),
    "413": problem("The body is too large"),
    "429": LIMITED,
    "503": TRY_AGAIN,
}


def _preflight(operation: str) -> Json:
    return {
        "operationId": f"{operation}_preflight",
        "security": [],
        "description": "What browsers ask before a page's request",
        "responses": {
            "204": {"description": "Pages of this origin may ask; whether they get anything, their tenant decides"},
            "403": problem("No tenant lists this origin"),
            "503": TRY_AGAIN,
        },
    }


DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {"title": "Leases: short-lived speech tokens, and upload slots", "version": "1"},
    "security": SECURITY,
    "paths": {
        "/v1/token": {
            "post": {
                "operationId": "lease_token",
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": ref("LeaseRequest")}},
                },
                "responses": {
                    "200": {
                        "description": "A token of at least the tenant's minimum life; never to be stored on the way",
                        "headers": RATE_HEADERS,
                        "content": {"application/json": {"schema": ref("Lease")}},
                    },
                    **_REFUSALS,
                    "403": problem("Leases are not allowed to this tenant, or not from pages of this origin"),
                    "500": problem("The tenant or the deployment is not configured for leases"),
                    "502": problem("The token API refused"),
                },
            },
            "options": _preflight("lease_token"),
        },
        "/v1/uploads": {
            "post": {
                "operationId": "open_upload",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": ref("UploadRequest")}},
                },
                "responses": {
                    "200": {
                        "description": "The right to upload one recording once; OSS answers a second use with 409",
                        "headers": RATE_HEADERS,
                        "content": {"application/json": {"schema": ref("Upload")}},
                    },
                    **_REFUSALS,
                    "403": problem("Not from pages of this origin"),
                    "500": problem("The deployment is not configured for uploads"),
                },
            },
            "options": _preflight("open_upload"),
        },
        "/openapi.json": {
            "get": {"operationId": "describe_leases", "security": [], "responses": {"200": {"description": "This"}}}
        },
    },
    "components": {
        "securitySchemes": SECURITY_SCHEMES,
        "schemas": {
            "LeaseRequest": _REQUEST,
            "Lease": _LEASE,
            "UploadRequest": _UPLOAD,
            "Upload": _SLOT,
            "Problem": PROBLEM,
        },
    },
}
"""OpenAPI 3.1."""
