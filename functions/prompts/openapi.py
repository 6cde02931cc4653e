"""`/openapi.json`: what this function answers to, written by hand and held to the code by tests."""

from __future__ import annotations

from typing import Final

from functions.prompts.rendition import RENDITIONS
from functions.prompts.schemas import SCHEMAS
from isikit.openapi import LIMITED, SECURITY, SECURITY_SCHEMES, TRY_AGAIN, UNKNOWN_CALLER, Json, problem, ref


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": ref(schema)}}}


def _text_or_json(description: str, schema: str) -> Json:
    url = {"schema": {"type": "string", "format": "uri"}}
    return {
        "description": f"{description}; with Accept: text/plain the URL alone",
        "content": {"application/json": {"schema": ref(schema)}, "text/plain": url},
    }


_ERRORS: Final = {
    "401": UNKNOWN_CALLER,
    "429": LIMITED,
    "503": TRY_AGAIN,
}
_BODY_ERRORS: Final = {
    "400": problem("Every mistake, in errors"),
    "408": problem("The body came too slowly"),
    "413": problem("The body is too large"),
}
_ID: Final[Json] = {"name": "prompt_id", "in": "path", "required": True, "schema": {"type": "string"}}
_NONE: Final = problem("The tenant has none of that id")
_RETIRED: Final = problem("It was retired")
_TYPES: Final = sorted({rendition.content_type for rendition in RENDITIONS.values()})
_SOUND: Final[Json] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _TYPES}
_AUDIO_ANSWERS: Final[Json] = {
    "200": {
        "description": "The audio; ETag, Last-Modified and Cache-Control tell how long it is good",
        "content": _SOUND,
    },
    "206": {"description": "A range of it", "content": _SOUND},
    "304": {"description": "What the caller has is current"},
    "404": problem("There is no such audio; not to be kept"),
    "410": problem("It was retired, or its day is over; not to be kept"),
    "416": problem("The range lies outside of it"),
    "422": problem("It would have to be made, and the speech service cannot speak it"),
    "429": problem("It would have to be made, and the tenant's quota is used up"),
    "502": problem("It would have to be made, and the speech service failed"),
    "503": problem("It is being made, or cannot be made now; not to be kept"),
}


def _audio_path(name: str, parameter: str, description: str) -> Json:
    described = {
        "description": description,
        "security": [],
        "parameters": [{"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": _AUDIO_ANSWERS,
        "tags": ["audio"],
    }
    return {
        "get": {**described, "operationId": f"play_{name}"},
        "head": {**described, "operationId": f"probe_{name}"},
    }


_PLAYED: Final = "A prompt's audio; the path comes from an answer's `url`. HEAD never has audio made."

DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {"title": "Prompts: text to the URL of its audio", "version": "1"},
    "security": SECURITY,
    "paths": {
        "/v1/prompts": {
            "post": {
                "operationId": "ask_for_prompt",
                "requestBody": _body("PromptRequest"),
                "responses": {
                    "200": _text_or_json("The audio is there", "PromptAnswer"),
                    "202": _text_or_json("It is being made: ask again, or get the URL", "PromptAnswer"),
                    "410": problem("It was retired this very moment: ask again"),
                    "422": problem("The text or the SSML cannot be spoken"),
                    "502": problem("The speech service refused or failed"),
                    **_BODY_ERRORS,
                    **_ERRORS,
                },
            }
        },
        "/v1/prompts/purge": {
            "post": {
                "operationId": "purge_prompts",
                "description": "Deletes prompts page by page: a dry run, unless told otherwise.",
                "requestBody": _body("PromptPurge"),
                "responses": {"200": _json("One page", ref("PromptPurged")), **_BODY_ERRORS, **_ERRORS},
            }
        },
        "/v1/prompts/{prompt_id}": {
            "get": {
                "operationId": "show_prompt",
                "parameters": [_ID],
                "responses": {
                    "200": _json("The prompt and its renditions", ref("PromptKept")),
                    "404": _NONE,
                    "410": _RETIRED,
                    **_ERRORS,
                },
            },
            "delete": {
                "operationId": "delete_prompt",
                "parameters": [_ID],
                "responses": {
                    "204": {"description": "Deleted; other instances notice within a minute, players keep copies"},
                    "404": _NONE,
                    "410": _RETIRED,
                    **_ERRORS,
                },
            },
        },
        "/v1/prompts/{prompt_id}/retire": {
            "post": {
                "operationId": "retire_prompt",
                "description": "Ends a prompt whose audio is wrong: the same request gets another id and URL.",
                "parameters": [_ID],
                "responses": {
                    "200": _json("Its URLs are 410 everywhere within a minute", ref("PromptRetired")),
                    "404": _NONE,
                    **_ERRORS,
                },
            }
        },
        "/v1/say": {
            "post": {
                "operationId": "seal_text",
                "description": "A URL that answers the audio itself, for platforms that can only GET. Costs nothing.",
                "requestBody": _body("PromptSayRequest"),
                "responses": {
                    "200": _text_or_json("The URL, good until expires_at", "PromptSay"),
                    "422": problem("The text or the SSML cannot be spoken"),
                    **_BODY_ERRORS,
                    **_ERRORS,
                },
            }
        },
        "/v1/say/{sealed}": _audio_path("sealed", "sealed", "The audio of a sealed text. HEAD never has audio made."),
        "/v1/voices": {
            "get": {
                "operationId": "list_voices",
                "responses": {"200": _json("Voices that the tenant may use", ref("PromptVoices")), **_ERRORS},
            }
        },
        "/p/{path}": _audio_path("p", "path", _PLAYED),
        "/e/{path}": _audio_path("e", "path", _PLAYED),
        "/openapi.json": {
            "get": {
                "operationId": "describe_prompts",
                "security": [],
                "responses": {"200": _json("This", {"type": "object"})},
            }
        },
    },
    "components": {
        "securitySchemes": SECURITY_SCHEMES,
        "schemas": SCHEMAS,
    },
}
"""OpenAPI 3.1."""
