"""`/openapi.json` says what is true."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from functions.prompts.app import routes
from functions.prompts.openapi import DOCUMENT
from functions.prompts.request import FIELDS
from support.prompting import Instance

WORDS = {"text": "您好，欢迎致电。"}


def valid(document: Any, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(document)


async def test_it_is_open_to_all(instance: Instance) -> None:
    answer = await instance.call("GET", "/openapi.json", key="")
    assert (answer.status, answer.json()) == (200, DOCUMENT)


def test_it_names_every_route_with_its_methods_and_no_other() -> None:
    served: dict[str, set[str]] = {}
    for route in routes(lambda: pytest.fail("not needed")):
        methods = {each.lower() for each in route.methods or {"GET", "HEAD"}}
        if route.methods:
            methods.discard("head")  # HEAD is where GET is
        served.setdefault(route.path.replace(":path", ""), set()).update(methods)
    assert served == {path: set(methods) for path, methods in DOCUMENT["paths"].items()}


def test_the_request_has_the_fields_that_are_read() -> None:
    assert set(DOCUMENT["components"]["schemas"]["PromptRequest"]["properties"]) == set(FIELDS)


@pytest.mark.parametrize("change", [{}, {"wait_ms": 0}, {"retention": "day"}, {"cache": "bypass"}], ids=str)
async def test_answers_are_as_it_says(instance: Instance, change: dict[str, Any]) -> None:
    valid({**WORDS, **change}, "PromptRequest")
    got = (await instance.post({**WORDS, **change})).json()
    valid(got, "PromptAnswer")
    if not change:
        valid((await instance.call("GET", f"/v1/prompts/{got['id']}")).json(), "PromptKept")


async def test_voices_and_problems_are_as_it_says(instance: Instance) -> None:
    valid((await instance.call("GET", "/v1/voices")).json(), "PromptVoices")
    valid((await instance.post({"text": "a", "volume": 101})).json(), "Problem")
    valid((await instance.get("/p/x")).json(), "Problem")


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if "$ref" in node else set()
            return own.union(*(references(each) for each in node.values()))
        return set().union(*(references(each) for each in node)) if isinstance(node, list) else set()

    names = {each.removeprefix("#/components/schemas/") for each in references(DOCUMENT)}
    assert names <= set(DOCUMENT["components"]["schemas"])
