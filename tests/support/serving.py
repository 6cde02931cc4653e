"""An aiohttp application on a free loopback port, served from a background thread to blocking clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

START_SECONDS = 30


@contextmanager
def served(make: Callable[[], web.Application]) -> Iterator[str]:
    """Serve the application that `make` builds on the server's own loop; yields `127.0.0.1:PORT`."""
    loop = asyncio.new_event_loop()
    started: list[tuple[web.AppRunner, int]] = []

    async def start() -> tuple[web.AppRunner, int]:
        runner = web.AppRunner(make(), handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, int(runner.addresses[0][1])

    thread = threading.Thread(target=loop.run_forever, name="test server", daemon=True)
    thread.start()
    try:
        started.append(asyncio.run_coroutine_threadsafe(start(), loop).result(START_SECONDS))
        yield f"127.0.0.1:{started[0][1]}"
    finally:
        for runner, _ in started:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS)
        loop.close()
