"""The gateway: routes by path, changes nothing, speaks problem+json for itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from localcloud import gateway
from localcloud.gateway.openapi import merge


@dataclass
class Stage:
    """Three stand-ins for functions behind a gateway."""

    url: str
    http: aiohttp.ClientSession
    functions: dict[str, web.AppRunner]
    seen: list[tuple[str, web.Request, bytes]] = field(default_factory=list)


def _function(name: str, stage_seen: list[Any]) -> web.Application:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        stage_seen.append((name, request, body))
        match request.path:
            case "/openapi.json":
                return web.json_response(
                    {
                        "openapi": "3.1.0",
                        "info": {"title": name, "version": "1", "description": f"About {name}."},
                        "paths": {"/v1/token": {"post": {"from": name}}, f"/v1/about-{name}": {"get": {"from": name}}},
                        "components": {"schemas": {"Problem": {"from": name}, name: {}}},
                    }
                )
            case "/p/audio.wav":
                data = bytes(range(256)) * 40
                headers = {"ETag": '"strong"', "Cache-Control": "public, immutable", "Accept-Ranges": "bytes"}
                return web.Response(body=data, content_type="audio/wav", headers=headers)
            case "/p/trickle":
                response = web.StreamResponse(headers={"Content-Type": "audio/basic"})
                await response.prepare(request)
                for part in (b"one", b"two"):
                    await response.write(part)
                    await asyncio.sleep(0.05)
                return response
            case "/gzip":
                return web.Response(body=b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})
            case "/cut":
                response = web.StreamResponse(headers={"Content-Length": "100"})
                await response.prepare(request)
                await response.write(b"part")
                assert request.transport is not None
                request.transport.abort()
                return response
            case "/vanish":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "/slow":
                await asyncio.sleep(30)
        headers = CIMultiDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Function", name)])
        return web.Response(status=207, reason="Odd", text=name, headers=headers)

    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", answer)
    return app


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    seen: list[Any] = []
    async with contextlib.AsyncExitStack() as stack:

        async def serve(app: web.Application) -> tuple[web.AppRunner, str]:
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

        functions, routes = {}, {}
        for name in ("token", "tts", "asr"):
            functions[name], routes[name] = await serve(_function(name, seen))
        _, url = await serve(gateway.make_app(routes, connect_seconds=0.5, read_seconds=0.5))
        http = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        yield Stage(url, http, functions, seen)


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/v1/token", "token"),
        ("/v1/uploads", "token"),
        ("/v1/jobs", "asr"),
        ("/v1/jobs/7/replay", "asr"),
        ("/v1/calls/c-1", "asr"),
        ("/v1/recognitions", "asr"),
        ("/v1/prompts", "tts"),
        ("/v1/tokens", "tts"),
        ("/p/t/id/pcm.wav", "tts"),
        ("/e/t/id/pcm.wav", "tts"),
        ("/healthz", "tts"),
        ("/", "tts"),
        ("/no/such/path", "tts"),
    ],
)
async def test_a_path_goes_to_its_function(stage: Stage, path: str, function: str) -> None:
    async with stage.http.get(stage.url + path) as answer:
        assert answer.headers["X-Function"] == function


async def test_status_reason_and_repeated_headers_pass(stage: Stage) -> None:
    async with stage.http.delete(stage.url + "/v1/prompts/1") as answer:
        assert (answer.status, answer.reason) == (207, "Odd")
        assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert stage.seen[0][1].method == "DELETE"


async def test_request_target_headers_and_body_pass_untouched(stage: Stage) -> None:
    url = URL(stage.url + "/v1/prompts/a%2Fb?x=%20y&x=2", encoded=True)
    headers = {
        "X-Api-Key": "id.secret",
        "Traceparent": "00-a-b-01",
        "X-Fc-Invocation-Type": "Async",
        "Range": "bytes=0-1",
    }
    async with stage.http.post(url, data=b"\x00body", headers=headers):
        pass
    _, request, body = stage.seen[0]
    assert request.raw_path == "/v1/prompts/a%2Fb?x=%20y&x=2"
    assert {name: request.headers[name] for name in headers} == headers
    assert request.headers["Host"] == url.authority
    assert body == b"\x00body"


async def test_hop_by_hop_headers_stay_on_their_hop(stage: Stage) -> None:
    headers = {"Connection": "keep-alive, X-Mine", "X-Mine": "1", "TE": "trailers", "Keep-Alive": "timeout=5"}
    async with stage.http.get(stage.url, headers=headers):
        pass
    assert not {"X-Mine", "TE", "Keep-Alive"} & set(stage.seen[0][1].headers)


@pytest.mark.parametrize("name", ["x-fc-control-path", "X-Fc-Request-Id"])
async def test_reserved_headers_are_refused(stage: Stage, name: str) -> None:
    async with stage.http.get(stage.url, headers={name: "/invoke"}) as answer:
        body = await problem_of(answer)
        assert (answer.status, body["code"]) == (400, "gateway.header_refused")
    assert stage.seen == []


async def problem_of(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(await answer.read())
    assert {"code", "status", "title", "detail", "request_id"} <= set(body)
    assert body["status"] == answer.status
    return body


async def test_audio_passes_byte_for_byte_with_its_headers(stage: Stage) -> None:
    async with stage.http.get(stage.url + "/p/audio.wav") as answer:
        assert await answer.read() == bytes(range(256)) * 40
        names = {name.lower() for name in answer.headers}
        assert names == {"content-type", "content-length", "etag", "cache-control", "accept-ranges", "date"}
        assert answer.headers["Content-Type"] == "audio/wav"


async def test_head_tells_the_length_and_has_no_body(stage: Stage) -> None:
    async with stage.http.head(stage.url + "/p/audio.wav") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(256 * 40))
        assert await answer.read() == b""


async def test_an_encoded_answer_is_not_decoded(stage: Stage) -> None:
    async with stage.http.get(stage.url + "/gzip") as answer:
        assert await answer.read() == b"\x1f\x8bnot really"


async def test_an_answer_is_passed_on_as_it_comes(stage: Stage) -> None:
    async with stage.http.get(stage.url + "/p/trickle") as answer:
        assert await answer.content.readany() == b"one"
        assert await answer.content.readany() == b"two"


async def test_a_large_body_is_streamed(stage: Stage) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(100_000)

    async with stage.http.post(stage.url + "/v1/recognitions", data=parts()):
        pass
    assert len(stage.seen[0][2]) == 2_000_000


async def test_a_function_that_is_not_there_is_503_with_retry_after(stage: Stage) -> None:
    await stage.functions["asr"].cleanup()
    async with stage.http.get(stage.url + "/v1/jobs") as answer:
        body = await problem_of(answer)
        assert (answer.status, body["code"], answer.headers["Retry-After"]) == (503, "gateway.unavailable", "1")
        assert body["retry_after"] == 1


async def test_a_function_that_hangs_up_is_502(stage: Stage) -> None:
    async with stage.http.post(stage.url + "/vanish") as answer:
        assert (await problem_of(answer))["code"] == "gateway.bad_answer"
        assert answer.status == 502


async def test_a_function_that_is_silent_is_504(stage: Stage) -> None:
    async with stage.http.get(stage.url + "/slow") as answer:
        assert (await problem_of(answer))["code"] == "gateway.timeout"
        assert answer.status == 504


async def test_a_cut_answer_never_looks_whole(stage: Stage) -> None:
    with pytest.raises(aiohttp.ClientError):
        async with stage.http.get(stage.url + "/cut") as answer:
            await answer.read()


async def test_the_openapi_documents_are_one(stage: Stage) -> None:
    async with stage.http.get(stage.url + "/openapi.json") as answer:
        merged = await answer.json()
    assert merged["paths"]["/v1/token"]["post"]["from"] == "token", (
        "a path is described by the function that answers it"
    )
    assert "/v1/about-tts" in merged["paths"]
    assert "/v1/about-asr" not in merged["paths"], "the gateway sends it to tts"
    assert set(merged["components"]["schemas"]) == {"Problem", "token", "tts", "asr"}
    async with stage.http.head(stage.url + "/openapi.json") as answer:
        assert answer.status == 200


async def test_a_missing_document_is_503(stage: Stage) -> None:
    await stage.functions["token"].cleanup()
    async with stage.http.get(stage.url + "/openapi.json") as answer:
        assert (await problem_of(answer))["status"] == 503


def test_merging_one_document_keeps_it() -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "2"},
        "paths": {"/v1/prompts": {}},
        "tags": [{"name": "a"}],
    }
    merged = merge({"tts": document})
    assert (merged["info"]["version"], merged["paths"], merged["tags"]) == ("2", {"/v1/prompts": {}}, [{"name": "a"}])


async def test_a_target_that_is_no_path_is_refused_as_a_problem(stage: Stage) -> None:
    port = URL(stage.url).port
    for target in (b"*", b"http://other.example/v1/token"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer
