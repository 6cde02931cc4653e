"""The OpenAPI document of the function's HTTP side, written by hand and held to the code by tests."""

from __future__ import annotations

from typing import Any, Final

from functions.transcripts.recognitions import LONGEST_MS, MAX_BYTES

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _problem(description: str) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _query(name: str, description: str, schema: Json = _TEXT) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_RATE_HEADERS: Final[Json] = {
    name: {"schema": _TEXT}
    for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")
}
_REFUSALS: Final[Json] = {
    "401": _problem("The caller is not known"),
    "429": {**_problem("A rate or the day's quota is used up; see Retry-After"), "headers": _RATE_HEADERS},
    "500": _problem("The tenant or the deployment is not configured for it"),
    "503": _problem("Try again after Retry-After"),
}
_JOBS: Final[Json] = {
    "description": "The jobs, oldest first; none is an empty list. Other tenants' jobs are not among them.",
    "headers": _RATE_HEADERS,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Jobs"}}},
}
_WHOLE: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 2**53}

_JOB: Final = _object(
    {
        "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "generation": {"type": "integer", "minimum": 1},
        "state": {
            "enum": ["received", "waiting", "submitted", "done", "failed", "quarantined", "skipped"],
            "description": "The last four are final, and shown once all files are in place.",
        },
        "reason": {"type": ["string", "null"], "description": "Why, as a code, where it is not done."},
        "bucket": _TEXT,
        "key": _TEXT,
        "outputs": {
            "type": "object",
            "description": "Keys in bucket; empty until the job is done.",
            "properties": dict.fromkeys(("json", "txt", "srt", "vtt"), _TEXT),
            "additionalProperties": False,
        },
        "expected_by": {"type": ["string", "null"], "format": "date-time"},
    }
)
_RECOGNITION: Final = _object(
    {
        "text": {"type": "string", "description": "All that was said, one turn a line; empty where nothing was"},
        "turns": {
            "type": "array",
            "items": _object(
                {
                    "start_ms": _COUNT,
                    "end_ms": _COUNT,
                    "channel": {"enum": [0, 1]},
                    "text": {"type": "string", "minLength": 1},
                }
            ),
        },
        "duration_ms": {**_COUNT, "maximum": LONGEST_MS},
        "channels": {"enum": [1, 2]},
        "layout": {"enum": ["mono", "same_on_both_sides", "one_side_silent", "two_sides"]},
        "billed": {
            **_object({"seconds": _COUNT, "calls": _COUNT}),
            "description": "Seconds taken from the day's quota, and calls to the speech service",
        },
    }
)
_PROBLEM: Final[Json] = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": _TEXT,
        "code": {"type": "string", "description": "stable, for programs"},
        "status": {"type": "integer"},
        "title": _TEXT,
        "detail": _TEXT,
        "request_id": _TEXT,
        "retry_after": {"type": "integer", "description": "seconds"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": _TEXT, "code": _TEXT, "allowed": {}},
                "required": ["field", "code"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["type", "code", "status", "title", "detail", "request_id"],
}

DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {"title": "Transcripts", "version": "1"},
    "security": [{"ApiKey": []}, {"Bearer": []}],
    "paths": {
        "/v1/jobs": {
            "get": {
                "operationId": "findJobs",
                "summary": "The jobs of a recording (bucket and key) or of a call (call_id)",
                "parameters": [
                    _query("bucket", "Bucket of the recording; together with key."),
                    _query("key", "Whole key of the recording, in/ included; together with bucket."),
                    _query("call_id", "The call's id, as the recording was uploaded with; alone."),
                ],
                "responses": {"200": _JOBS, "400": _problem("Neither, or both"), **_REFUSALS},
            }
        },
        "/v1/jobs/{id}": {
            "get": {
                "operationId": "getJob",
                "summary": "One job, with an entry for each of its generations",
                "parameters": [_in_path("id", _TEXT)],
                "responses": {"200": _JOBS, **_REFUSALS},
            }
        },
        "/v1/recognitions": {
            "post": {
                "operationId": "recognise",
                "summary": "The text of up to a minute of sound, at once; nothing is stored",
                "parameters": [
                    _query(
                        "locale",
                        "For example zh-CN; the tenant's default otherwise.",
                        {"type": "string", "pattern": "^[a-z]{2,3}(-[A-Z]{2})?$"},
                    )
                ],
                "requestBody": {
                    "required": True,
                    "description": f"The file: WAV, MP3, M4A, Ogg or FLAC, of at most {LONGEST_MS // 1000} seconds and "
                    f"{MAX_BYTES // 1024 // 1024} MB. Its bytes say what it is: any Content-Type will do.",
                    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
                },
                "responses": {
                    "200": {
                        "description": "What was said",
                        "headers": _RATE_HEADERS,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Recognition"}}},
                    },
                    "400": _problem("Every mistake of the query, in errors"),
                    "408": _problem("The body came too slowly"),
                    "413": _problem("The body is too large"),
                    "422": _problem("It cannot be read as sound, holds none, or more than a minute of it"),
                    "502": _problem("The speech service failed, or refused"),
                    **_REFUSALS,
                },
            }
        },
        "/v1/callbacks/filetrans/{job}/{generation}/{submission}/{expires_at}/{proof}": {
            "post": {
                "operationId": "fileDone",
                "summary": "For the speech service: a file has been recognised. Nothing that it says is believed.",
                "security": [],
                "parameters": [
                    _in_path("job", _TEXT),
                    *(_in_path(name, _WHOLE) for name in ("generation", "submission", "expires_at")),
                    _in_path("proof", {**_TEXT, "description": "HMAC over the others"}),
                ],
                "requestBody": {"required": False, "content": {"application/json": {"schema": {}}}},
                "responses": {
                    "200": {
                        "description": "The job was looked after",
                        "content": {
                            "application/json": {
                                "schema": _object(
                                    {"outcome": {"enum": ["left", "ended", "claimed", "submitted", "waiting"]}}
                                )
                            }
                        },
                    },
                    "403": _problem("The address proves nothing"),
                    "404": _problem("No such address"),
                    "410": _problem("The submission is not waited for any more"),
                    "500": _problem("The deployment is not configured for it"),
                    "502": _problem("The speech service failed"),
                    "503": _problem("Try again after Retry-After"),
                },
            }
        },
        "/openapi.json": {
            "get": {"operationId": "describe", "security": [], "responses": {"200": {"description": "This"}}}
        },
    },
    "components": {
        "securitySchemes": {
            "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            "Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        },
        "schemas": {
            "Jobs": _object({"jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}}),
            "Job": _JOB,
            "Recognition": _RECOGNITION,
            "Problem": _PROBLEM,
        },
    },
}
"""OpenAPI 3.1."""
