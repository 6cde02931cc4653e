"""One instance: a process of the function, started, thawed, asked, frozen and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from localcloud.children import Child, Guardian
from localcloud.fc.errors import FcError
from localcloud.fc.model import FunctionSpec
from localcloud.fc.output import LogFile, Output
from localcloud.fc.request_ids import new_instance_id

START_LIMIT_SECONDS = 120  # "ready within 120 s"
PRE_STOP_LIMIT_SECONDS = 2.0  # the cloud gives the hook up to 90 s; Ctrl-C should not
TERM_GRACE_SECONDS = 3.0
_DEATH_SECONDS = 0.2
_PROBE_SECONDS = 0.02  # the cloud probes every periodSeconds; a laptop need not wait for it

STARTING, READY, STOPPING, GONE = "starting", "ready", "stopping", "gone"


@dataclass(frozen=True, slots=True)
class Site:
    """What an instance's process is started with, and who watches over it."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    code_dir: Path
    home: Path
    guardian: Guardian
    log: LogFile
    in_thread: Callable[..., Awaitable[Any]]


class Instance:
    """A function process and its connections.

    `in_flight` counts requests that have a place here, those that still wait for the start included. An instance
    without requests is frozen (SIGSTOP to its group) at once, as Function Compute freezes it after the last response;
    the next request thaws it.
    """

    def __init__(self, spec: FunctionSpec, *, freeze: bool = True) -> None:
        self.spec = spec
        self.instance_id = new_instance_id()
        self.state = STARTING
        self.in_flight = 0
        self.frozen = False
        self.killed_for = ""
        self._suspect = 0
        self.started_at = time.monotonic()
        self.idle_since = self.started_at
        self.ready_at = float("inf")
        self.child: Child | None = None
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._freeze = freeze
        self._site: Site | None = None
        self._output: Output | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def pid(self) -> int:
        """The process (and group) number, 0 before the start."""
        return self.child.pid if self.child else 0

    def has_room(self) -> bool:
        """Whether it takes one more request."""
        return self.state in (STARTING, READY) and not self._suspect and self.in_flight < self.spec.instance_concurrency

    async def start(self, site: Site) -> None:
        """Start the process and wait until it answers.

        Raises
        ------
        FcError
            412: the command is missing (`CAFileNotFound`), not executable (`CAFilePermission`), it exited (`CAExited`)
            or did not answer within 120 s (`FunctionNotStarted`).
        """
        if self.killed_for:
            raise FcError(503, "ResourceThrottled", f"the instance was ended before its start: {self.killed_for}")
        self._site = site
        site.home.mkdir(parents=True, exist_ok=True)
        self._output = Output(site.log)
        self.child = Child.spawn(
            site.command,
            site.guardian,
            env=site.environment,
            cwd=site.code_dir,
            output=self._output.write_end,
        )
        self._output.child_has_it()
        self.child.exited.add_done_callback(lambda _: self._ended())
        # No limit of our own: the pool counts. Keep-alive for ever, as Function Compute keeps its connections.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=24 * 3600, force_close=False),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=256 * 1024,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
        )
        await self._wait_until_ready(self.child, site.port)

    def open(self) -> None:
        """Take requests from now on; called when it answers and its initializer, if any, has run."""
        if self.state == STARTING:
            self.state = READY
            self.ready_at = time.monotonic()

    async def _wait_until_ready(self, child: Child, port: int) -> None:
        deadline = time.monotonic() + START_LIMIT_SECONDS
        check = self.spec.health_check
        if check is not None and check.initial_delay_seconds:
            await asyncio.wait([child.exited], timeout=check.initial_delay_seconds)
        successes = 0
        while successes < (check.success_threshold if check else 1):
            if child.returncode is not None:
                raise self._exited_at_start(child.returncode)
            if time.monotonic() > deadline:
                raise FcError(
                    412,
                    "FunctionNotStarted",
                    f"The CA's http server cannot be started within {START_LIMIT_SECONDS} s; "
                    "it must listen on the port that FC_CUSTOM_LISTEN_PORT names",
                )
            successes = successes + 1 if await self._probe(port) else 0
            if successes == 0:
                await asyncio.wait([child.exited], timeout=_PROBE_SECONDS)

    async def _probe(self, port: int) -> bool:
        check = self.spec.health_check
        if check is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=check.timeout_seconds)
        try:
            async with self._session.get(self._url(check.path), timeout=timeout) as response:
                await response.read()
                return 200 <= response.status < 400
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    def _exited_at_start(self, status: int) -> FcError:
        command = self.spec.command[0]
        if status == 127:
            return FcError(412, "CAFileNotFound", f"The function cannot be started. {command} is not found.")
        if status == 126:
            return FcError(412, "CAFilePermission", f"The function cannot be started. {command} is not executable.")
        return FcError(
            412, "CAExited", f"The function either cannot be started or exited. Exit status {status}; see its log."
        )

    def _url(self, raw_target: str) -> URL:
        assert self._site is not None
        return URL(f"http://127.0.0.1:{self._site.port}{raw_target}", encoded=True)

    def call(self, method: str, raw_target: str, headers: Any, body: Any) -> Any:
        """Send a request (an async context manager that yields the `aiohttp.ClientResponse`)."""
        assert self._session is not None
        return self._session.request(method, self._url(raw_target), headers=headers, data=body, allow_redirects=False)

    async def ask(self, method: str, raw_target: str, headers: Mapping[str, str], body: bytes | None = None) -> int:
        """Send a request of the platform's own and return the status of the answer."""
        async with self.call(method, raw_target, headers, body) as response:
            await response.read()
            return int(response.status)

    def thaw(self) -> None:
        """Let the processes run again."""
        if self.frozen and self.child is not None:
            self.frozen = False
            self.child.send(signal.SIGCONT)

    def rest(self) -> None:
        """Freeze if nothing is in flight."""
        if self.in_flight == 0 and self.state == READY:
            self.idle_since = time.monotonic()
            if self._freeze and not self.frozen and self.child is not None:
                self.frozen = True
                self.child.send(signal.SIGSTOP)

    def hold(self) -> None:
        """Stop the processes although requests are in flight; only a fault does this."""
        if self.child is not None and not self.frozen:
            self.frozen = True
            self.child.send(signal.SIGSTOP)

    def let_go(self) -> None:
        """The end of `hold`: run again if there is something to do."""
        self.thaw()
        self.rest()

    def kill(self, reason: str) -> None:
        """End the whole group at once; requests in flight break off."""
        if self.state != GONE:
            self.killed_for = self.killed_for or reason
            self.state = STOPPING
            if self.child is not None:
                self.child.kill()

    async def see_whether_it_died(self) -> None:
        """After a broken connection: a dying process closes its sockets a moment before its end can be seen.

        Until that is clear nobody is sent there. A server that only closed a connection stays in service.
        """
        if self.child is not None:
            self._suspect += 1
            await asyncio.wait([self.child.exited], timeout=_DEATH_SECONDS)
            self._suspect -= 1

    def condemn(self, reason: str) -> None:
        """Take no more requests, and end when the last one is answered."""
        if self.state == READY:
            self.state = STOPPING
            self.killed_for = reason

    async def stop(self) -> None:
        """Thaw, run the pre-stop hook if the function has one (at most 2 s), SIGTERM, and after 3 s SIGKILL."""
        if self.state == GONE or self.child is None:
            return
        self.state = STOPPING
        self.thaw()
        if self.started.done() and self.spec.pre_stop_seconds and not self.killed_for:
            timeout = min(float(self.spec.pre_stop_seconds), PRE_STOP_LIMIT_SECONDS)
            headers = {"x-fc-control-path": "/pre-stop", "x-fc-function-name": self.spec.name}
            with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError):
                await asyncio.wait_for(self.ask("GET", "/pre-stop", headers), timeout)
        self.child.send(signal.SIGTERM)
        await asyncio.wait([self.child.exited], timeout=TERM_GRACE_SECONDS)
        self.child.kill()
        await self.child.wait()

    async def release_resources(self) -> None:
        """Close connections, the pipe and the home directory of a process that is gone."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        output, self._output = self._output, None
        if output is not None:
            output.close()
        if self._site is not None:
            await self._site.in_thread(shutil.rmtree, self._site.home, True)

    def tail(self) -> bytes:
        """The last 4 KB of its output."""
        return self._output.tail() if self._output else b""

    def _ended(self) -> None:
        self.state = GONE
        self.frozen = False


def free_port() -> int:
    """A port of 127.0.0.1 that is free now; the instance binds it a moment later, a collision is a failed start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
