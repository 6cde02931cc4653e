"""`/openapi.json`: what this function answers to, written by hand and held to the code by tests."""

from __future__ import annotations

from typing import Any, Final

from functions.prompts import text
from functions.prompts.consumers import CONSUMERS
from functions.prompts.rendition import CONTAINERS, ENCODINGS, RATES_HZ
from functions.prompts.request import DEFAULT_WAIT_MS, MAX_WAIT_MS, RATE, VOLUME
from functions.prompts.voices import LOCALES

Json = dict[str, Any]


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, *, optional: tuple[str, ...] = ()) -> Json:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": _ref("PromptProblem")}}}


def _whole(bounds: tuple[int, int, int]) -> Json:
    return {"type": "integer", "minimum": bounds[0], "maximum": bounds[1], "default": bounds[2]}


_NULLABLE_TIME: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_AUDIO: Final = _object(
    {
        "content_type": {"type": "string"},
        "encoding": {"enum": list(ENCODINGS)},
        "container": {"enum": list(CONTAINERS)},
        "sample_rate_hz": {"enum": list(RATES_HZ)},
        "bytes": {"type": ["integer", "null"], "description": "null while it is pending"},
        "duration_ms": {"type": ["integer", "null"], "description": "null while it is pending"},
    }
)
_REQUEST: Final[Json] = {
    **_object(
        {
            "text": {"type": "string", "description": f"up to {text.MAX_CHARACTERS} characters; more with wait_ms 0"},
            "ssml": {"type": "string", "description": "one <speak> element, up to 300 characters without its tags"},
            "locale": {"type": "string", "examples": list(LOCALES), "description": "the tenant's default otherwise"},
            "voice": {"type": "string", "description": "one of GET /v1/voices that speaks the locale"},
            "volume": _whole(VOLUME),
            "speech_rate": _whole(RATE),
            "pitch_rate": _whole(RATE),
            "consumer": {"enum": list(CONSUMERS), "description": "who will fetch the audio; decides its form"},
            "encoding": {"enum": list(ENCODINGS)},
            "container": {"enum": list(CONTAINERS)},
            "sample_rate_hz": {"enum": list(RATES_HZ)},
            "cache": {"enum": ["use", "refresh", "bypass"], "default": "use"},
            "retention": {"enum": ["permanent", "day"], "description": "the tenant's default otherwise"},
            "wait_ms": _whole((0, MAX_WAIT_MS, DEFAULT_WAIT_MS)),
            "call_id": {"type": "string", "maxLength": 128},
        }
    ),
    "required": [],
    "oneOf": [{"required": ["text"]}, {"required": ["ssml"]}],
}
_ANSWER: Final = _object(
    {
        "id": {"type": "string"},
        "url": {"type": "string", "format": "uri", "minLength": 64, "maxLength": 255},
        "status": {"enum": ["ready", "degraded", "pending"]},
        "cache": {"enum": ["hit", "miss", "coalesced", "bypass"]},
        "voice_used": {"type": "string"},
        "audio": _ref("PromptAudio"),
        "billed": _object({"characters": {"type": "integer"}, "calls": {"type": "integer"}}),
        "expires_at": _NULLABLE_TIME,
    }
)
_KEPT: Final = _object(
    {
        "id": {"type": "string"},
        "status": {"enum": ["ready", "pending"]},
        "voice_used": {"type": "string"},
        "renditions": {
            "type": "array",
            "items": _object(
                {
                    "url": {"type": "string", "format": "uri"},
                    "retention": {"enum": ["permanent", "day"]},
                    "audio": _ref("PromptAudio"),
                    "expires_at": _NULLABLE_TIME,
                }
            ),
        },
    }
)
_VOICES: Final = _object(
    {
        "voices": {
            "type": "array",
            "items": _object(
                {
                    "name": {"type": "string"},
                    "locales": {"type": "array", "items": {"type": "string"}},
                    "sample_rates_hz": {"type": "array", "items": {"type": "integer"}},
                    "ssml": {"type": "boolean"},
                    "emotions": {"type": "boolean"},
                }
            ),
        },
        "default_locale": {"type": "string"},
        "default_voices": {"type": "object", "additionalProperties": {"type": "string"}},
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
            "items": _object(
                {"field": {"type": "string"}, "code": {"type": "string"}, "allowed": {}}, optional=("allowed",)
            ),
        },
    },
    "required": ["type", "code", "status", "title", "detail", "request_id"],
}

_ERRORS: Final = {"401": _problem("The key is missing or wrong"), "503": _problem("Try again after Retry-After")}
_ID: Final[Json] = {"name": "prompt_id", "in": "path", "required": True, "schema": {"type": "string"}}
_URL: Final[Json] = {"description": "A prompt's audio; `path` comes from an answer's `url`."}
_AUDIO_ANSWERS: Final[Json] = {
    "200": {"description": "The audio; ETag, Last-Modified and Cache-Control tell how long it is good"},
    "206": {"description": "A range of it"},
    "304": {"description": "What the caller has is current"},
    "404": _problem("There is no such audio; not to be kept"),
    "410": _problem("Its day is over; not to be kept"),
    "416": _problem("The range lies outside of it"),
    "503": _problem("It is being made; not to be kept"),
}


def _audio_path(prefix: str) -> Json:
    parameter = {"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}
    described = {**_URL, "security": [], "parameters": [parameter], "responses": _AUDIO_ANSWERS, "tags": [prefix]}
    return {
        "get": {**described, "operationId": f"play_{prefix}"},
        "head": {**described, "operationId": f"probe_{prefix}"},
    }


DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {"title": "Prompts: text to the URL of its audio", "version": "1"},
    "security": [{"ApiKey": []}],
    "paths": {
        "/v1/prompts": {
            "post": {
                "operationId": "ask_for_prompt",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("PromptRequest")}},
                },
                "responses": {
                    "200": {
                        "description": "The audio is there. With Accept: text/plain the URL alone",
                        "content": {
                            "application/json": {"schema": _ref("PromptAnswer")},
                            "text/plain": {"schema": {"type": "string"}},
                        },
                    },
                    "202": _json("It is being made; ask again, or get the URL", _ref("PromptAnswer")),
                    "400": _problem("Every mistake, in errors"),
                    "413": _problem("The body is too large"),
                    "422": _problem("The text or the SSML cannot be spoken"),
                    "502": _problem("The speech service refused or failed"),
                    **_ERRORS,
                },
            }
        },
        "/v1/prompts/{prompt_id}": {
            "get": {
                "operationId": "show_prompt",
                "parameters": [_ID],
                "responses": {
                    "200": _json("The prompt and its renditions", _ref("PromptKept")),
                    "404": _problem("The tenant has none of that id"),
                    **_ERRORS,
                },
            },
            "delete": {
                "operationId": "delete_prompt",
                "parameters": [_ID],
                "responses": {
                    "204": {"description": "Deleted; other instances notice within a minute, players keep copies"},
                    "404": _problem("The tenant has none of that id"),
                    **_ERRORS,
                },
            },
        },
        "/v1/voices": {
            "get": {
                "operationId": "list_voices",
                "responses": {"200": _json("Voices", _ref("PromptVoices")), **_ERRORS},
            }
        },
        "/p/{path}": _audio_path("p"),
        "/e/{path}": _audio_path("e"),
        "/openapi.json": {
            "get": {"operationId": "describe_prompts", "security": [], "responses": {"200": {"description": "This"}}}
        },
    },
    "components": {
        "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
        "schemas": {
            "PromptRequest": _REQUEST,
            "PromptAnswer": _ANSWER,
            "PromptAudio": _AUDIO,
            "PromptKept": _KEPT,
            "PromptVoices": _VOICES,
            "PromptProblem": _PROBLEM,
        },
    },
}
"""OpenAPI 3.1."""
