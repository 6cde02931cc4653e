"""`make_app`: one error shape, one log line, whatever happens in a route."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from isikit.errors import Forbidden, LimitError, Refused, RequestError, StorageError, problem
from isikit.host import context, json_response, make_app, read_body, read_json
from isikit.host.context import Deadline, RequestContext

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class _Answer(msgspec.Struct):
    text: str


def _raising(error: Exception) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raise error

    return endpoint


async def _read(request: Request) -> Response:
    return json_response({"read": await read_json(request, 64)})


async def _size(request: Request) -> Response:
    return json_response(len(await read_body(request)))


async def _good(request: Request) -> Response:
    return json_response(_Answer("文"), 201, {"Location": "/x"})


def _plain(request: Request) -> Response:
    return PlainTextResponse(context.current().request_id)


async def _tenant(request: Request) -> Response:
    context.update(tenant_id="acme")
    return PlainTextResponse("")


async def _torn(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("secret text")

    return StreamingResponse(chunks())


ROUTES = [
    Route("/read", _read, methods=["POST"]),
    Route("/size", _size, methods=["POST"]),
    Route("/good/{name}", _good, methods=["GET"]),
    Route("/good/{name}", _good, methods=["DELETE"]),
    Route("/plain", _plain),
    Route("/tenant", _tenant),
    Route("/torn", _torn),
    Route("/refused", _raising(Refused())),
    Route("/forbidden", _raising(Forbidden())),
    Route("/limited", _raising(LimitError(retry_after=9))),
    Route("/storage", _raising(StorageError())),
    Route("/bug", _raising(KeyError("secret text"))),
    Route("/starlette", _raising(HTTPException(400, "secret text"))),
]


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(make_app(ROUTES))
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        yield client


def _events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "http.not_found"),
        ("GET", "/", 404, "http.not_found"),
        ("PATCH", "/good/x", 405, "http.method_not_allowed"),
        ("OPTIONS", "/good/x", 405, "http.method_not_allowed"),
        ("POST", "/healthz", 405, "http.method_not_allowed"),
        ("GET", "/refused", 401, "identity.refused"),
        ("GET", "/forbidden", 403, "identity.forbidden"),
        ("GET", "/limited", 429, "limit.rate"),
        ("GET", "/storage", 503, "oss.failed"),
        ("GET", "/bug", 500, "host.unexpected"),
        ("GET", "/starlette", 400, "request.invalid"),
        ("POST", "/read", 400, "request.not_json"),
    ],
)
async def test_every_error_has_the_one_shape(
    client: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store, max-age=0"
    document = answer.json()
    assert {"type", "code", "status", "title", "detail", "request_id"} <= set(document)
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


async def test_not_allowed_names_what_is(client: httpx2.AsyncClient) -> None:
    assert (await client.patch("/good/x")).headers["allow"] == "DELETE, GET, HEAD"


async def test_the_headers_that_go_with_an_error(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/limited")).headers["retry-after"] == "9"
    assert "www-authenticate" in (await client.get("/refused")).headers
    assert "www-authenticate" not in (await client.get("/forbidden")).headers


async def test_a_good_answer_is_json_of_the_struct(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/good/x")
    assert (answer.status_code, answer.headers["location"]) == (201, "/x")
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == '{"text":"文"}'


@pytest.mark.parametrize("path", ["/good/x", "/nothing", "/healthz"])
async def test_head_answers_as_get_without_a_body(client: httpx2.AsyncClient, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


async def test_trace_and_call_ids_are_passed_back(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/plain", headers={"traceparent": TRACE, "X-Call-Id": "a84b4c76@pc33.example.com"})
    assert answer.headers["traceparent"] == TRACE
    assert answer.headers["x-call-id"] == "a84b4c76@pc33.example.com"
    assert answer.headers["x-request-id"] == answer.text


@pytest.mark.parametrize(
    ("name", "value"),
    [("traceparent", "00-xyz"), ("traceparent", TRACE.upper()), ("X-Call-Id", "my call"), ("X-Call-Id", "c" * 129)],
)
async def test_ids_that_are_none_are_not_taken_over(client: httpx2.AsyncClient, name: str, value: str) -> None:
    assert name not in (await client.get("/plain", headers={name: value})).headers


async def test_no_cross_origin_header_is_ours(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/plain", headers={"Origin": "https://evil.example.com"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_request_is_one_line_with_the_template_and_never_the_path(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get("/good/secret?token=secret", headers={"X-Call-Id": "call-1"})
    (line,) = _events(capsys)
    assert (line["event"], line["method"], line["route"], line["status"]) == (
        "request.finished",
        "GET",
        "/good/{name}",
        201,
    )
    assert line["duration_ms"] >= 0
    assert line["call_id"] == "call-1"
    assert "secret" not in json.dumps(line)


async def test_what_became_known_in_the_route_is_in_the_line(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get("/tenant")
    assert _events(capsys)[0]["tenant"] == "acme"


async def test_an_unknown_path_is_logged_as_unmatched(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get("/p/secret")
    (line,) = _events(capsys)
    assert (line["route"], line["status"], line["code"]) == ("unmatched", 404, "http.not_found")


async def test_a_bug_is_logged_by_type_only(client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    await client.get("/bug")
    failed, finished = _events(capsys)
    assert (failed["event"], failed["error_type"], failed["level"]) == ("request.failed", "KeyError", "error")
    assert (finished["status"], finished["level"]) == (500, "error")
    assert "secret" not in json.dumps([failed, finished])


async def test_health_checks_are_not_logged(client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert _events(capsys) == []


async def test_a_failure_in_the_middle_of_an_answer_breaks_the_connection(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConnectionAbortedError):
        await client.get("/torn")
    assert _events(capsys)[-1]["status"] == 500


async def test_the_hosts_context_is_used_where_there_is_one(client: httpx2.AsyncClient) -> None:
    with context.entered(RequestContext("1-aa-bb-cc", Deadline.after(5))):
        assert (await client.get("/plain")).text == "1-aa-bb-cc"


async def test_a_body_over_the_limit_is_refused_by_its_declared_length(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/read", content=b"x" * 65)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


async def test_a_body_over_the_limit_is_refused_while_it_comes(client: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    answer = await client.post("/size", content=endless())
    assert answer.status_code == 413


async def test_the_usual_limit_is_256_kilobytes(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/size", content=b"x" * 262144)).json() == 262144
    assert (await client.post("/size", content=b"x" * 262145)).status_code == 413


async def test_a_caller_that_disconnects_is_logged_and_nothing_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/read", "headers": [], "query_string": b""}
    await make_app(ROUTES)(scope, receive, send)
    assert sent == []
    assert _events(capsys)[0]["status"] == 499


async def test_a_problem_that_names_fields_keeps_them_over_http() -> None:
    assert problem(RequestError(errors=[]), "1").get("errors") is None
