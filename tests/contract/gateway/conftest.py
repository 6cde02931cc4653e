"""A cloud-native gateway with its desk, in front of a function that shows what reaches it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from localcloud import gateway
from localcloud.clock import Clock
from localcloud.fc import FunctionCompute
from localcloud.relay import answering_all


@dataclass
class Door:
    """Addresses of a gateway and of its admin door, and what has come through."""

    url: str
    admin: str
    http: aiohttp.ClientSession
    clock: Clock
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def tell(self, path: str, body: Any, status: int = 201) -> Any:
        """POST to the admin door."""
        async with self.http.post(self.admin + path, json=body) as answer:
            said = await answer.json()
            assert answer.status == status, said
            return said

    async def ask(self, method: str = "GET", path: str = "/v1/prompts", **options: Any) -> tuple[int, str]:
        """Status and text of a request through the gateway."""
        async with self.http.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    clock = Clock()
    desk = gateway.Desk(clock, cast(FunctionCompute, None))
    found: list[Door] = []

    async def show(request: web.Request) -> web.StreamResponse:
        found[0].seen.append(request)
        found[0].bodies.append(await request.read())
        return web.Response(text="through")

    async with contextlib.AsyncExitStack() as stack:

        async def serve(make: Callable[[], web.Application]) -> str:
            runner = web.AppRunner(make(), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        function = await serve(lambda: answering_all(show, client_max_size=64 * 1024**2))
        routes = dict.fromkeys(("token", "tts", "asr"), function)
        url = await serve(lambda: gateway.make_app(routes, desk.policies))
        admin = await serve(lambda: desk.at(web.Application()))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        found.append(Door(url, admin, http, clock))
        yield found[0]
