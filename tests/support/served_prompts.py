"""Instances of the prompts function behind real servers on loopback, for clients that block."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn

from isikit.host.server import server_config
from support.prompting import BASE_URL, Instance, World

T = TypeVar("T")
WAIT_SECONDS = 30


@dataclass
class Served:
    """A world whose instances can be fetched from.

    Attributes
    ----------
    bases
        One `http://127.0.0.1:PORT` an instance.
    seen
        Every request in the order of arrival: (method, path, headers in lower case).
    """

    loop: asyncio.AbstractEventLoop
    world: World = field(default_factory=World)
    instances: list[Instance] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def begin(self) -> None:
        """A new world, with new instances behind the same servers."""

        async def begin() -> None:
            self.world = World()
            self.instances = [self.world.instance() for _ in self.bases]
            self.seen.clear()

        self.run(begin)

    def url(self, url: str, instance: int = 0) -> str:
        """Where an instance serves what is published as `url`."""
        return self.bases[instance] + url.removeprefix(BASE_URL)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await something on the servers' own loop."""

        async def awaited() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(WAIT_SECONDS)

    def post(self, instance: int = 0, **body: Any) -> dict[str, Any]:
        """`POST /v1/prompts`; what was answered, with its status as `http`."""
        answer = self.run(lambda: self.instances[instance].post(body))
        return {"http": answer.status, **answer.json()}

    def methods(self) -> list[str]:
        """The methods seen since the last call of this."""
        methods = [method for method, _, _ in self.seen]
        self.seen.clear()
        return methods

    def _app(self, number: int) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
            self.seen.append((scope["method"], scope["path"], headers))
            await self.instances[number].app(scope, receive, send)

        return app


@contextmanager
def served(count: int = 1) -> Iterator[Served]:
    """`count` servers, set up as the host sets them up; `begin` puts instances of a new world behind them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test server", daemon=True)
    thread.start()
    servers: list[tuple[uvicorn.Server, Any]] = []

    async def start() -> Served:
        one = Served(loop)
        for number in range(count):
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(server_config(one._app(number), {"ISI_LISTEN_HOST": "127.0.0.1"}))
            task = asyncio.ensure_future(server.serve(sockets=[listener]))
            servers.append((server, task))
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0)
            one.bases.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        return one

    async def stop() -> None:
        for server, task in servers:
            server.should_exit = server.force_exit = True
            await task
        await loop.shutdown_default_executor()

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(WAIT_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(WAIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_SECONDS)
        loop.close()
