"""The traditional gateway's event becomes a call of the application, and its answer the gateway's form."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from isikit.host import EventContext, Host, json_response, make_app
from isikit.host.traditional import CALL, answer, is_call
from support import asgi


def _event(**changed: Any) -> bytes:
    event = {
        "path": "/echo/é %",
        "httpMethod": "POST",
        "headers": {
            "Content-Type": "text/plain",
            "X-Fc-Access-Key-Id": "forged",
            "CaAppId": "1001",
            "Content-Length": "9",
        },
        "queryParameters": {"a": "1 &", "b": "é"},
        "pathParameters": {},
        "body": "text",
        "isBase64Encoded": False,
    }
    return json.dumps({**event, **changed}).encode()


async def _echo(request: Request) -> Response:
    call = request.scope[CALL]
    told = {
        "path": request.url.path,
        "name": request.path_params.get("name"),
        "query": dict(request.query_params),
        "headers": dict(request.headers),
        "body": (await request.body()).hex(),
        "app": [call.app_id, call.secret],
    }
    return json_response(told, headers={"X-Two": "1"})


async def _bytes(_: Request) -> Response:
    response = Response(b"\xff\x00", media_type="audio/wav")
    response.raw_headers += [(b"vary", b"a"), (b"vary", b"b")]
    return response


APP = make_app([Route("/echo/{name}", _echo, methods=["POST"]), Route("/bytes", _bytes)])


async def test_the_packed_request_reaches_the_application() -> None:
    packed = await answer(
        APP, _event(headers={"X-A": "1", "X-Fc-Account-Id": "1", "CaAppId": "7", "x-app-secret": "s"})
    )
    assert packed["statusCode"] == 200
    assert packed["isBase64Encoded"] is False
    told = json.loads(str(packed["body"]))
    assert (told["name"], told["query"], told["app"]) == ("é %", {"a": "1 &", "b": "é"}, ["7", "s"])
    assert bytes.fromhex(told["body"]) == b"text"
    assert told["headers"] == {"x-a": "1", "content-length": "4"}, "neither the platform's headers nor the marks"


async def test_bytes_travel_as_base64_both_ways() -> None:
    body = base64.b64encode(b"\xff\xfe").decode()
    told = json.loads(str((await answer(APP, _event(body=body, isBase64Encoded=True)))["body"]))
    assert bytes.fromhex(told["body"]) == b"\xff\xfe"
    packed = await answer(APP, _event(path="/bytes", httpMethod="GET"))
    assert (packed["isBase64Encoded"], base64.b64decode(str(packed["body"]))) == (True, b"\xff\x00")
    headers = packed["headers"]
    assert isinstance(headers, dict)
    assert headers["vary"] == "a, b"


async def test_a_mark_in_two_spellings_counts_as_none() -> None:
    headers = {"CaAppId": "1001", "caappid": "1002", "X-App-Secret": "s"}
    told = json.loads(str((await answer(APP, _event(headers=headers)))["body"]))
    assert told["app"] == ["", "s"]


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "echo"},
        {"path": 1},
        {"httpMethod": "GET / HTTP/1.1"},
        {"httpMethod": ""},
        {"headers": {"X-A": 1}},
        {"headers": {"X-文": "1"}},
        {"headers": []},
        {"queryParameters": {"a": ["1"]}},
        {"body": None},
        {"body": "%", "isBase64Encoded": True},
    ],
    ids=str,
)
async def test_an_event_of_another_form_fails_and_is_not_guessed_at(changed: dict[str, Any]) -> None:
    told = await asgi.call(
        Host(APP), "POST", "/invoke", headers={"x-fc-control-path": "/invoke"}, body=_event(**changed)
    )
    assert (told.status, told.headers["x-fc-status"], told.json()["errorType"]) == (404, "404", "RequestError")


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"events": []}',
        b'{"path": "/"}',
        b'{"httpMethod": "GET"}',
        b'{"make": {}}',
        b'"path httpMethod"',
    ],
)
async def test_other_events_go_to_the_handler(event: bytes) -> None:
    assert not is_call(event)

    async def handler(data: bytes, _: EventContext) -> bytes:
        return data

    told = await asgi.call(Host(APP, handler), "POST", "/invoke", headers={"x-fc-control-path": "/invoke"}, body=event)
    assert (told.status, told.body) == (200, event)


async def test_what_nobody_has_is_the_applications_404() -> None:
    packed = await answer(APP, _event(path="/invoke"))
    assert packed["statusCode"] == 404
