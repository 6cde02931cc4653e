"""What `OssStore` puts on the wire, and how it takes what a server should never answer."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web

from contract.oss_store.conftest import OPERATIONS
from isikit import connections
from isikit.credentials import Credentials
from isikit.errors import DeadlineExceeded, StorageError
from isikit.host import context
from isikit.objects import OssStore, oss
from isikit.retry import RetryBudget
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


class Silent:
    """Answers nothing until the test has seen enough."""

    def __init__(self) -> None:
        self._enough = threading.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        await asyncio.to_thread(self._enough.wait, 20)
        return web.Response(status=404, headers={"Date": DATE})

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._enough.set()


def store_on(endpoint: str, server: Any = None, **settings: Any) -> OssStore:
    settings.setdefault("budget", RetryBudget())
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

    silent = Silent()
    with answering(silent) as endpoint, silent:
        with pytest.raises(StorageError) as caught:
            await store_on(endpoint).head("a")
        assert (caught.value.code, caught.value.retryable) == ("oss.unreachable", True)


async def test_a_deadline_sooner_than_that_counts() -> None:
    silent = Silent()
    with answering(silent) as endpoint, silent:
        begun = time.monotonic()
        request = context.RequestContext("1-0", context.Deadline.after(0.1))
        with context.entered(request), pytest.raises(DeadlineExceeded):
            await store_on(endpoint).head("a")
        assert time.monotonic() - begun < oss.READ_TIMEOUT_SECONDS / 2


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


@pytest.mark.parametrize("body", [gzip.compress(bytes(1_000_000)), b"RIFF and nothing that is packed"])
async def test_what_an_uploader_calls_gzip_is_not_unpacked(body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={**HEADERS, "Content-Encoding": "gzip"})

    with answering(answer) as endpoint:
        found = await store_on(endpoint).get("a")
    assert found is not None
    assert (found[0].size, found[1]) == (len(body), body)


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


@pytest.mark.parametrize("name", ["head", "get", "tail", "list", "put", "delete", "missing"])
async def test_every_kind_of_answer_leaves_its_connection_for_the_next_call(server: Any, name: str) -> None:
    store = server.store()
    await store.put("a", b"x", content_type="text/plain")
    call = REPEATABLE.get(name) or (lambda store: store.head("b"))
    for _ in range(4):
        await call(store)
    (pool,) = store._opened.session._pools.pools._container.values()
    assert pool.num_connections == 1


REPEATABLE: dict[str, Callable[[OssStore], Awaitable[object]]] = {
    "head": lambda store: store.head("a"),
    "get": lambda store: store.get("a"),
    "tail": lambda store: store.tail("a"),
    "list": lambda store: store.list(""),
    "put": lambda store: store.put("a", b"x", content_type="text/plain"),
    "delete": lambda store: store.delete("a"),
}
ONCE: dict[str, Callable[[OssStore], Awaitable[object]]] = {
    "put": lambda store: store.put("a", b"x", content_type="text/plain", forbid_overwrite=True),
    "append": lambda store: store.append("j", 0, b"x"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", REPEATABLE)
async def test_what_may_be_repeated_is_tried_once_more(server: Any, name: str, when: str) -> None:
    store = server.store()
    await store.put("a", b"x", content_type="text/plain")
    operation = f"oss.{OPERATIONS[name]}"
    before = server.faults.counters().get(operation, 0)
    server.faults.arm(operation=operation, when=when, action="drop")
    await REPEATABLE[name](store)
    assert server.faults.counters()[operation] == before + 2


@pytest.mark.parametrize("name", ONCE)
async def test_a_write_on_a_condition_is_tried_once(server: Any, name: str) -> None:
    operation = f"oss.{OPERATIONS[name]}"
    server.faults.arm(operation=operation, when="after", action="drop")
    with pytest.raises(StorageError):
        await ONCE[name](server.store())
    assert server.faults.counters()[operation] == 1


async def test_repetitions_share_one_budget_however_many_stores_there_are() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    budget = RetryBudget(share=0.0, reserve=3.0)
    with answering(answer) as endpoint:
        for _ in range(5):
            with pytest.raises(StorageError):
                await store_on(endpoint, budget=budget).head("a")
    assert len(asked) == 5 + 3
    assert OssStore("b", "http://127.0.0.1:1", "r", Credentials({}))._budget is oss._budget


async def test_a_busy_service_is_not_asked_again_when_the_deadline_is_sooner_than_it_wants() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=503, headers={"Date": DATE})

    request = context.RequestContext("1-0", context.Deadline.after(0.9))
    with answering(answer) as endpoint, context.entered(request), pytest.raises(StorageError):
        await store_on(endpoint).head("a")
    assert len(asked) == 1
