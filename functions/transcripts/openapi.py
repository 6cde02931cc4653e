"""The OpenAPI document of the function's HTTP side, written by hand and held to the code by tests."""

from __future__ import annotations

from typing import Final

from functions.transcripts.recognitions import LONGEST_MS, MAX_BYTES
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

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}


def _query(name: str, description: str, schema: Json = _TEXT) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_REFUSALS: Final[Json] = {
    "401": UNKNOWN_CALLER,
    "429": LIMITED,
    "500": problem("The tenant or the deployment is not configured for it"),
    "503": TRY_AGAIN,
}
_JOBS: Final[Json] = {
    "description": "The jobs, oldest first; none is an empty list. Other tenants' jobs are not among them.",
    "headers": RATE_HEADERS,
    "content": {"application/json": {"schema": ref("Jobs")}},
}
_WHOLE: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 2**53}

_JOB: Final = closed(
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
_RECOGNITION: Final = closed(
    {
        "text": {"type": "string", "description": "All that was said, one turn a line; empty where nothing was"},
        "turns": {
            "type": "array",
            "items": closed(
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
            **closed({"seconds": _COUNT, "calls": _COUNT}),
            "description": "Seconds taken from the day's quota, and calls to the speech service",
        },
    }
)
DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {"title": "Transcripts", "version": "1"},
    "security": SECURITY,
    "paths": {
        "/v1/jobs": {
            "get": {
                "operationId": "find_jobs",
                "summary": "The jobs of a recording (bucket and key) or of a call (call_id)",
                "parameters": [
                    _query("bucket", "Bucket of the recording; together with key."),
                    _query("key", "Whole key of the recording, in/ included; together with bucket."),
                    _query("call_id", "The call's id, as the recording was uploaded with; alone."),
                ],
                "responses": {"200": _JOBS, "400": problem("Neither, or both"), **_REFUSALS},
            }
        },
        "/v1/jobs/{id}": {
            "get": {
                "operationId": "show_job",
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
                        "headers": RATE_HEADERS,
                        "content": {"application/json": {"schema": ref("Recognition")}},
                    },
                    "400": problem("Every mistake of the query, in errors"),
                    "408": problem("The body came too slowly"),
                    "413": problem("The body is too large"),
                    "422": problem("It cannot be read as sound, holds none, or more than a minute of it"),
                    "502": problem("The speech service failed, or refused"),
                    **_REFUSALS,
                },
            }
        },
        "/v1/callbacks/filetrans/{job}/{generation}/{submission}/{expires_at}/{proof}": {
            "post": {
                "operationId": "report_file",
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
                                "schema": closed(
                                    {"outcome": {"enum": ["left", "ended", "claimed", "submitted", "waiting"]}}
                                )
                            }
                        },
                    },
                    "403": problem("The address proves nothing"),
                    "404": problem("No such address"),
                    "410": problem("The submission is not waited for any more"),
                    "500": problem("The deployment is not configured for it"),
                    "502": problem("The speech service failed"),
                    "503": TRY_AGAIN,
                },
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "describe_transcripts",
                "security": [],
                "responses": {"200": {"description": "This"}},
            }
        },
    },
    "components": {
        "securitySchemes": SECURITY_SCHEMES,
        "schemas": {
            "Jobs": closed({"jobs": {"type": "array", "items": ref("Job")}}),
            "Job": _JOB,
            "Recognition": _RECOGNITION,
            "Problem": PROBLEM,
        },
    },
}
"""OpenAPI 3.1."""
