"""What `/openapi.json` promises is what the function does, whatever it is sent: generated requests, checked answers."""

from __future__ import annotations

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

from functions.prompts.openapi import DOCUMENT
from support.prompting import API_KEY, World

EXAMPLES = 15
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
schema = schemathesis.openapi.from_asgi("/openapi.json", World().instance().app)
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
    case.call_and_validate(headers={"X-Api-Key": API_KEY}, checks=CHECKS)


def test_every_operation_was_generated() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    generated = {(operation.ok().method.upper(), operation.ok().path) for operation in schema.get_all_operations()}
    assert generated == described - {("GET", "/openapi.json")}  # which is where the document came from


def called(operation: str, *, key: str = API_KEY, **case: Any) -> Any:
    method, _, path = operation.partition(" ")
    headers = {"X-Api-Key": key, **case.pop("headers", {})}
    checks = [check for check in CHECKS if check is not unsupported_method]  # which sends requests of its own
    return schema[path][method].Case(**case).call_and_validate(headers=headers, checks=checks)


def test_answers_with_real_ids_and_paths_are_described_too() -> None:
    body = {"text": "您好，欢迎致电。", "retention": "permanent"}
    made = called("POST /v1/prompts", body=body, media_type="application/json").json()
    audio = {"path": made["url"].split("/p/")[1]}
    tag = called("GET /p/{path}", path_parameters=audio).headers["etag"][0]
    for expected, headers in (
        (304, {"If-None-Match": tag}),
        (206, {"Range": "bytes=0-9"}),
        (416, {"Range": "bytes=999999999-"}),
    ):
        assert called("GET /p/{path}", path_parameters=audio, headers=headers).status_code == expected
    assert called("HEAD /p/{path}", path_parameters=audio).status_code == 200
    later = called("POST /v1/prompts", body={**body, "wait_ms": 0, "text": "稍后"}, media_type="application/json")
    assert later.status_code == 202
    mine = {"prompt_id": made["id"]}
    assert called("GET /v1/prompts/{prompt_id}", path_parameters=mine).status_code == 200
    assert called("POST /v1/prompts/{prompt_id}/retire", path_parameters=mine).status_code == 200
    assert called("GET /v1/prompts/{prompt_id}", path_parameters=mine).status_code == 410
    assert called("GET /p/{path}", path_parameters=audio).status_code == 410
    other = {"prompt_id": later.json()["id"]}
    assert called("DELETE /v1/prompts/{prompt_id}", path_parameters=other).status_code == 204
    assert called("DELETE /v1/prompts/{prompt_id}", path_parameters=other).status_code == 404
    said = called("POST /v1/say", body={"text": "您好"}, media_type="application/json").json()
    sealed = {"sealed": said["url"].rpartition("/")[2]}
    for method in ("GET", "HEAD"):
        assert called(f"{method} /v1/say/{{sealed}}", path_parameters=sealed).status_code == 200
    page = called("POST /v1/prompts/purge", body={"all": True, "dry_run": False}, media_type="application/json")
    assert page.json()["prompts"]
    assert called("GET /v1/voices").status_code == 200
    assert called("GET /v1/voices", key="nobody.0123456789abcdef").status_code == 401
