"""The gateway as an aiohttp application: a streaming proxy that adds nothing to what functions answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from localcloud.fc.headers import CLIENT_MAY_SEND, HOP_BY_HOP
from localcloud.gateway.consumers import Denied
from localcloud.gateway.openapi import merge
from localcloud.gateway.policies import BODY_LIMIT_BYTES, Policies, denied, unmark
from localcloud.gateway.problems import problem
from localcloud.gateway.routes import function_of
from localcloud.relay import HEADER_LINE_LIMIT_BYTES, answering_all, relay

CONNECT_SECONDS = 5.0
READ_SECONDS = 660.0  # over the longest function timeout of s.yaml, so that Function Compute speaks first
_BUFFERED_BYTES = 256 * 1024
_OPENAPI_SECONDS = 30.0


def make_app(
    routes: Mapping[str, str],
    policies: Policies | None = None,
    *,
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
) -> web.Application:
    """Route requests to the functions' HTTP triggers.

    Parameters
    ----------
    routes
        The base URLs (no slash at the end) of `token`, `tts` and `asr`.
    policies
        Consumers and per-route authentication; without them nobody is authenticated here.

    What the gateway itself has to say is problem+json: 400 `gateway.header_refused` for an `x-fc-*` header that
    Function Compute would refuse, 502 `gateway.bad_answer`, 503 `gateway.unavailable`, 504 `gateway.timeout`.
    """
    gateway = _Gateway(routes, policies, connect_seconds, read_seconds)
    app = answering_all(gateway.answer, client_max_size=BODY_LIMIT_BYTES)
    app.cleanup_ctx.append(gateway.session)
    return app


class _Gateway:
    def __init__(
        self, routes: Mapping[str, str], policies: Policies | None, connect_seconds: float, read_seconds: float
    ) -> None:
        self._routes = routes
        self._policies = policies
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=read_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def session(self, _: web.Application) -> AsyncIterator[None]:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=self._timeout,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=HEADER_LINE_LIMIT_BYTES,
            max_field_size=HEADER_LINE_LIMIT_BYTES,
        )
        async with self._session:
            yield

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/openapi.json" and request.method in ("GET", "HEAD"):
            return await self.openapi(request)
        return await self.forward(request)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        refused = [
            name for name in request.headers if name.lower().startswith("x-fc-") and name.lower() not in CLIENT_MAY_SEND
        ]
        if refused:
            return problem(400, "gateway.header_refused", f"header {refused[0]} is reserved; leave it out")
        if not request.raw_path.startswith("/"):
            return problem(400, "gateway.target_refused", "the request target is not a path")
        assert self._session is not None
        function = function_of(request.path)
        url = URL(self._routes[function] + request.raw_path, encoded=True)
        headers = _passed_on(request.headers)
        body: bytes | AsyncIterator[bytes] | None = None
        try:
            read = await self._admit(request, headers)
        except Denied as refusal:
            return denied(refusal)
        if request.body_exists:
            if read is not None or _short(request):
                body = read if read is not None else await request.read()
                headers.popall("Content-Length", None)
            else:
                body = request.content.iter_any()
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return await relay(request, answer, _passed_on(answer.headers))
        except aiohttp.ClientConnectorError:
            return problem(
                503, "gateway.unavailable", f"the function {function} is not there (yet); try again", retry_after=1
            )
        except (TimeoutError, aiohttp.ServerTimeoutError):
            return problem(504, "gateway.timeout", f"the function {function} did not answer in time")
        except (aiohttp.ClientError, OSError) as error:
            if request.transport is None or request.transport.is_closing():
                raise asyncio.CancelledError from error  # the client is gone, or its answer is cut off already
            return problem(502, "gateway.bad_answer", f"the function {function} broke off its answer")

    async def _admit(self, request: web.Request, headers: CIMultiDict[str]) -> bytes | None:
        """The gateway's own checks and marks; the body, if they had to read it."""
        if self._policies is not None:
            return await self._policies.admit(request, headers)
        unmark(headers)
        return None

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """The functions' documents, merged. Asked for each time: a deployment may change them."""
        documents = {}
        for function, base in self._routes.items():
            assert self._session is not None
            timeout = aiohttp.ClientTimeout(total=_OPENAPI_SECONDS)
            try:
                async with self._session.get(base + "/openapi.json", timeout=timeout) as answer:
                    documents[function] = json.loads(await answer.read())
                    if answer.status != 200:
                        raise ValueError(f"status {answer.status}")
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
                return problem(
                    503, "gateway.unavailable", f"the function {function} does not describe itself", retry_after=1
                )
        return web.json_response(merge(documents))


def _short(request: web.Request) -> bool:
    return request.content_length is not None and request.content_length <= _BUFFERED_BYTES


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """All headers but those of this connection, in their order and as often as they came."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if name.lower() not in HOP_BY_HOP and name.lower() not in named:
            passed.add(name, value)
    return passed
