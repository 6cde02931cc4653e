"""What `/openapi.json` promises is what the function does, whatever it is sent: generated requests, checked answers."""

from __future__ import annotations

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from functions.transcripts.app import application
from functions.transcripts.openapi import DOCUMENT
from unit.transcripts.scene import BUCKET, SECRETS, Scene, etag_of, mono, speech

EXAMPLES = 15
KEY = "in/acme/call 1.wav"
CALL = mono(speech(1000))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
scene = Scene()
scene.with_queue()
process = scene.process()
schema = schemathesis.openapi.from_asgi("/openapi.json", application(lambda: process))
schema.config.generation.update(modes=list(GenerationMode))
fast = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@fast
def test_every_answer_is_one_that_is_described(case: Any) -> None:
    # Any bytes are a body of recognitions, and whatever the callback says is passed over: nothing is negative there.
    checks = [*CHECKS, negative_data_rejection] if case.path == "/v1/jobs" else CHECKS
    case.call_and_validate(headers={"X-Api-Key": SECRETS["acme"]}, checks=checks)


def test_every_operation_was_generated() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    generated = {(operation.ok().method.upper(), operation.ok().path) for operation in schema.get_all_operations()}
    assert generated == described - {("GET", "/openapi.json")}  # which is where the document came from


def called(operation: str, *, key: str = SECRETS["acme"], **case: Any) -> Any:
    method, _, path = operation.partition(" ")
    headers = {"X-Api-Key": key, **case.pop("headers", {})}
    checks = [check for check in CHECKS if check is not unsupported_method]  # which sends requests of its own
    return schema[path][method].Case(**case).call_and_validate(headers=headers, checks=checks)


def test_answers_with_real_jobs_and_sound_are_described_too() -> None:
    asyncio.run(scene.deliver(scene.upload(KEY, CALL, {"call-id": "c-1"})))
    identifier = scene.job(KEY, CALL).id
    for asked in ({"call_id": "c-1"}, {"bucket": BUCKET, "key": KEY}):
        assert called("GET /v1/jobs", query=asked).json()["jobs"][0]["state"] == "done"
    assert called("GET /v1/jobs/{id}", path_parameters={"id": identifier}).json()["jobs"]
    assert called("GET /v1/jobs/{id}", key="nobody.1", path_parameters={"id": identifier}).status_code == 401
    sound = {"body": CALL, "media_type": "application/octet-stream"}
    assert called("POST /v1/recognitions", **sound).json()["text"].startswith("text ")
    assert called("POST /v1/recognitions", **sound, query={"locale": "en-US"}).status_code == 400
    assert called("POST /v1/recognitions", body=b"x", media_type="application/octet-stream").status_code == 422
    assert etag_of(CALL) == scene.job(KEY, CALL).etag
