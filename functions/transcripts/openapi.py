"""The OpenAPI document of the function's HTTP side."""

from __future__ import annotations

from typing import Any, Final

_PROBLEM: Final = {"$ref": "#/components/responses/Problem"}
_JOBS: Final = {
    "description": "The jobs, oldest first; none is an empty list. Other tenants' jobs are not among them.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Jobs"}}},
}
_TEXT: Final = {"type": "string"}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": _TEXT}


DOCUMENT: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "Transcripts", "version": "1"},
    "paths": {
        "/v1/jobs": {
            "get": {
                "operationId": "findJobs",
                "summary": "The jobs of a recording (bucket and key) or of a call (call_id)",
                "security": [{"apiKey": []}],
                "parameters": [
                    _query("bucket", "Bucket of the recording; together with key."),
                    _query("key", "Whole key of the recording, in/ included; together with bucket."),
                    _query("call_id", "What the recording was uploaded with as x-oss-meta-call-id; alone."),
                ],
                "responses": {"200": _JOBS, "default": _PROBLEM},
            }
        },
        "/v1/jobs/{id}": {
            "get": {
                "operationId": "getJob",
                "summary": "One job, with an entry for each of its generations",
                "security": [{"apiKey": []}],
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": _TEXT}],
                "responses": {"200": _JOBS, "default": _PROBLEM},
            }
        },
    },
    "components": {
        "securitySchemes": {"apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
        "responses": {
            "Problem": {
                "description": "An error (RFC 9457)",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
        },
        "schemas": {
            "Jobs": {
                "type": "object",
                "required": ["jobs"],
                "properties": {"jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}},
            },
            "Job": {
                "type": "object",
                "required": ["id", "generation", "state", "reason", "bucket", "key", "outputs", "expected_by"],
                "properties": {
                    "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    "generation": {"type": "integer", "minimum": 1},
                    "state": {
                        "enum": ["received", "waiting", "submitted", "done", "failed", "quarantined", "skipped"],
                        "description": "The last four are final, and shown once all files are in place.",
                    },
                    "reason": {
                        "type": ["string", "null"],
                        "description": "Why it failed, was quarantined or skipped, as a code.",
                    },
                    "bucket": _TEXT,
                    "key": _TEXT,
                    "outputs": {
                        "type": "object",
                        "description": "Keys in bucket; empty until the job is done.",
                        "properties": dict.fromkeys(("json", "txt", "srt", "vtt"), _TEXT),
                    },
                    "expected_by": {"type": ["string", "null"], "format": "date-time"},
                },
            },
            "Problem": {
                "type": "object",
                "required": ["type", "code", "status", "title", "detail", "request_id"],
                "properties": {
                    "type": _TEXT,
                    "code": _TEXT,
                    "status": {"type": "integer"},
                    "title": _TEXT,
                    "detail": _TEXT,
                    "request_id": _TEXT,
                    "retry_after": {"type": "integer"},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            },
        },
    },
}
