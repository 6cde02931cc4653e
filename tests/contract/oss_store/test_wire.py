"""What `OssStore` puts on the wire, and how it takes what a server should never answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from aiohttp import web
from isikit import connections
from isikit.errors import DeadlineExceeded, StorageError
from isikit.host import context
from isikit.objects import OssStore, oss
from support.serving import served

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
HEADERS = {"Date": DATE, "ETag": '"ab"', "Last-Modified": DATE, "Content-Type": "text/plain"}


@contextmanager
def answering(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Iterator[str]:
    """A server that answers everything alike."""

    def make() -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        return app

    with served(make) as host:
        yield f"http://{host}"


def store_on(endpoint: str, server: Any = None, **settings: Any) -> OssStore:
    from isikit.credentials import Credentials

    provider = Credentials({"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"})
    return OssStore("isi-state", endpoint, "cn-beijing", provider, **settings)


async def test_every_call_is_signed_by_v4_with_the_security_token_of_the_latest_request() -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["authorization"], request.headers.get("x-oss-security-token", "")))
        return web.Response(status=404, headers={"Date": DATE})

    with answering(answer) as endpoint:
        store = store_on(endpoint)
        await store.head("a")
        store._provider.update(
            {"x-fc-access-key-id": "STS.b", "x-fc-access-key-secret": "s", "x-fc-security-token": "token"}
        )
        await store.head("a")
    assert [token for _, token in seen] == ["", "token"]
    assert seen[0][0].startswith("OSS4-HMAC-SHA256 Credential=id/")
    assert seen[1][0].startswith("OSS4-HMAC-SHA256 Credential=STS.b/")
    assert "/cn-beijing/oss/aliyun_v4_request" in seen[0][0]


async def test_writes_carry_a_digest_so_that_damage_on_the_way_never_stands() -> None:
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response(headers={**HEADERS, "x-oss-next-append-position": "5"})

    with answering(answer) as endpoint:
        await store_on(endpoint).put("a", b"hello", content_type="text/plain", forbid_overwrite=True)
        await store_on(endpoint).append("a", 0, b"hello")
    assert [request.headers["content-md5"] for request in seen] == ["XUFAKrxLKna5cZ2REBfFkg=="] * 2
    assert seen[0].headers["x-oss-forbid-overwrite"] == "true"
    assert "x-oss-forbid-overwrite" not in seen[1].headers


async def test_a_redirect_is_not_followed() -> None:
    elsewhere: list[str] = []

    async def steal(request: web.Request) -> web.StreamResponse:
        elsewhere.append(request.path)
        return web.Response(headers=HEADERS)

    with answering(steal) as other:

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"{other}/isi-state/a", "Date": DATE})

        with answering(answer) as endpoint:
            for call in (store_on(endpoint).head("a"), store_on(endpoint).get("a")):
                with pytest.raises(StorageError):
                    await call
    assert elsewhere == []


async def test_a_server_that_is_silent_is_given_up_after_the_read_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oss, "READ_TIMEOUT_SECONDS", 0.1)

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return web.Response()

    with answering(answer) as endpoint:
        with pytest.raises(StorageError) as caught:
            await store_on(endpoint).head("a")
        assert (caught.value.code, caught.value.retryable) == ("oss.unreachable", True)


async def test_a_deadline_sooner_than_that_counts() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return web.Response(status=404, headers={"Date": DATE})

    with answering(answer) as endpoint:
        begun = time.monotonic()
        request = context.RequestContext("1-0", context.Deadline.after(0.1))
        with context.entered(request), pytest.raises(DeadlineExceeded):
            await store_on(endpoint).head("a")
        assert time.monotonic() - begun < 0.45


async def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(StorageError) as caught:
        await store_on("http://127.0.0.1:9").head("a")
    assert (caught.value.code, caught.value.retryable) == ("oss.unreachable", True)


async def test_a_missing_bucket_is_an_error_and_not_a_missing_object(server: Any) -> None:
    store = server.store("no-such-bucket")
    for call in (store.head("a"), store.get("a"), store.tail("a")):
        with pytest.raises(StorageError) as caught:
            await call
        assert caught.value.code == "oss.no_such_bucket"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-oss-hash-crc64ecma": "1"}, b"hello", "oss.damaged"),
        ({"Content-Length": "10"}, b"hello", "oss.unreachable"),
    ],
)
async def test_a_damaged_or_cut_off_body_is_never_returned(headers: dict[str, str], body: bytes, code: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(body)), **HEADERS, **headers})
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.close()
        return response

    with answering(answer) as endpoint, pytest.raises(StorageError) as caught:
        await store_on(endpoint).get("a")
    assert (caught.value.code, caught.value.retryable) == (code, True)


@pytest.mark.parametrize("status", [200, 416])
async def test_both_answers_to_a_range_beyond_the_end_are_understood(status: int) -> None:
    """OSS answers 200 with the whole object by default, 416 with `x-oss-range-behavior: standard`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and status == 416:
            body = b"<Error><Code>InvalidRange</Code></Error>"
            return web.Response(status=416, body=body, headers={"Date": DATE}, content_type="application/xml")
        return web.Response(body=b"hello", headers=HEADERS)

    with answering(answer) as endpoint:
        tail = await store_on(endpoint).tail("a", start=10)
    assert (tail.data, tail.end, tail.server_time) == (b"", 5, 1_700_000_000.0)


async def test_metadata_in_utf_8_that_others_wrote_is_read_as_such() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(headers={**HEADERS, "x-oss-meta-Agent": "王芳"})

    with answering(answer) as endpoint:
        info = await store_on(endpoint).head("a")
    assert info is not None
    assert info.metadata == {"agent": "王芳"}


async def test_connections_are_kept_but_not_over_a_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        ports.append(request.transport.get_extra_info("peername")[1])  # type: ignore[union-attr]
        return web.Response(status=404, headers={"Date": DATE})

    frozen_for = 0.0
    now = time.time
    monkeypatch.setattr(connections.time, "time", lambda: now() + frozen_for)
    with answering(answer) as endpoint:
        store = store_on(endpoint)
        await store.head("a")
        frozen_for = connections.IDLE_SECONDS - 1
        await store.head("a")
        frozen_for += connections.IDLE_SECONDS + 1
        await store.head("a")
    assert ports[0] == ports[1] != ports[2]


async def test_a_presigned_url_is_signed_for_the_public_endpoint_and_needs_nothing_else(server: Any) -> None:
    store = server.store(public_endpoint=server.endpoint.replace("127.0.0.1", "localhost"))
    await store.put("in/a b+中.wav", b"hello", content_type="audio/wav")
    url = store.presign_get("in/a b+中.wav", 60)
    assert url.startswith(server.endpoint.replace("127.0.0.1", "localhost") + "/isi-state/in/")
    assert "x-oss-signature-version=OSS4-HMAC-SHA256" in url
    answer = await asyncio.to_thread(requests.get, url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert (
        await asyncio.to_thread(requests.get, url[:-1] + ("1" if url[-1] == "0" else "0"), timeout=10)
    ).status_code == 403


@pytest.mark.parametrize(
    ("public", "begins"),
    [
        ("https://oss-cn-beijing.aliyuncs.com", "https://isi-state.oss-cn-beijing.aliyuncs.com/in/a.wav?"),
        ("https://files.example.com", "https://files.example.com/in/a.wav?"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/isi-state/in/a.wav?"),
    ],
)
def test_a_public_endpoint_of_ones_own_name_is_the_buckets_cname(public: str, begins: str) -> None:
    assert store_on("http://127.0.0.1:1", public_endpoint=public).presign_get("in/a.wav", 60).startswith(begins)
