"""One request as the handlers see it, and the service they work for."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.oss.authentication import Authenticator, Caller
from localcloud.oss.operation import Operation, operation_of
from localcloud.oss.signatures import Headers
from localcloud.oss.store import FileStore
from localcloud.oss.target import Target, parse
from localcloud.oss.threads import Threads

Notify = Callable[[dict[str, Any]], None]
_R = TypeVar("_R")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Service:
    """What all requests share. A client that sends nothing for `stall_seconds` in mid-body is dropped."""

    store: FileStore
    account: Account
    clock: Clock
    notify: Notify
    authenticator: Authenticator
    stall_seconds: float
    threads: Threads = field(default_factory=Threads)
    _running: set[asyncio.Task[Any]] = field(default_factory=set)

    async def commit(self, work: Callable[[], _R], event_of: Callable[[_R], dict[str, Any]]) -> _R:
        """Run a write in a thread and tell about it: exactly one event for each write that succeeded.

        A client that goes away, or a server that is told to stop, does not come between the write and its event.
        """

        async def write_and_tell() -> _R:
            result = await self.threads.run(work)
            try:
                self.notify(event_of(result))
            except Exception:  # noqa: BLE001 - the write is done and must be answered as done
                _log.exception("the listener for object events failed")
            return result

        task = asyncio.ensure_future(write_and_tell())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for the writes under way and close the threads and the store."""
        await asyncio.gather(*self._running, return_exceptions=True)
        self.threads.close()
        self.store.close()


@dataclass(slots=True)
class Call:
    """A request, taken apart once."""

    request: web.Request
    service: Service
    target: Target
    headers: Headers
    operation: Operation
    request_id: str
    caller: Caller | None = None
    allowed: dict[str, str] = field(default_factory=dict)  # the CORS headers of its answer

    @classmethod
    def of(cls, request: web.Request, service: Service) -> Call:
        """Take a request apart; the raw target and the raw headers are what was signed."""
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        target = parse(request.method, request.raw_path, headers.get("host", ""))
        return cls(request, service, target, headers, operation_of(target, headers), secrets.token_hex(12).upper())

    @property
    def bucket(self) -> str:
        """The bucket's name, "" on the service level."""
        return self.target.bucket

    @property
    def key(self) -> str:
        """The object's key, "" on the bucket level."""
        return self.target.key

    @property
    def host(self) -> str:
        """The Host header."""
        return self.headers.get("host", "")
