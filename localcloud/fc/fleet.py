"""All instances of all functions: directories, credentials, quotas, and the end of what is idle or outdated."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from localcloud.account import AccessKey, Account
from localcloud.children import Guardian
from localcloud.clock import Clock
from localcloud.faults import Fault, Faults
from localcloud.fc import archive
from localcloud.fc.code_store import CodeStore
from localcloud.fc.environment import bare_python, instance_environment, map_command
from localcloud.fc.errors import FcError
from localcloud.fc.headers import Invocation, control_headers
from localcloud.fc.instance import Instance, Site, free_port
from localcloud.fc.metrics import RequestMetrics
from localcloud.fc.model import FunctionSpec
from localcloud.fc.output import LogFile
from localcloud.fc.pool import Pool
from localcloud.log import Log

CREDENTIALS_ROTATE_SECONDS = 300  # a request's credentials are at most this old on the services' clock
INSTANCE_LIMIT = 100  # per region and account; English pages say 100 (2024-26), the Chinese one 300 (2026-02)

Result = TypeVar("Result")


@dataclass(slots=True)
class Platform:
    """What instances are made with; `log` may be absent in tests."""

    root: Path
    account: Account
    clock: Clock
    faults: Faults
    guardian: Guardian
    log_dir: Path
    log: Log | None = None
    freeze: bool = True
    idle_seconds: float = 3600.0
    stall_seconds: float = 30.0
    code_store: CodeStore | None = None
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "fc"))

    async def in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Run blocking work on threads of our own: the loop's may be full of clients that wait for us."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    def tell(self, event: str, **fields: object) -> None:
        """Write to localcloud's own log, if there is one."""
        if self.log is not None:
            self.log.event(event, **fields)


class Fleet:
    """Makes pools and starts their instances. `reserved` gives a function's reserved concurrency (instances)."""

    def __init__(self, platform: Platform, reserved: Callable[[str], int | None]) -> None:
        self._platform = platform
        self._reserved = reserved
        self._pools: dict[tuple[str, str], Pool] = {}
        self._retired: list[Pool] = []
        self._logs: dict[str, LogFile] = {}
        self._sessions: dict[str, AccessKey] = {}
        self._session_times: dict[str, float] = {}
        self._merge_lock = asyncio.Lock()
        self.metrics = RequestMetrics(platform.log_dir)
        self._sweeper: asyncio.Task[None] | None = None

    def begin_fault(self, operation: str, subject: str) -> Fault | None:
        """Count a moment of an instance's life and return the fault that strikes it."""
        return self._platform.faults.begin(operation, subject)

    def move_clock(self, seconds: float) -> None:
        """Move the services' clock, as a fault that freezes an instance does."""
        self._platform.clock.move(seconds)

    def pool(self, spec: FunctionSpec) -> Pool:
        """The pool of a function state. A newer revision retires the pool of the older one."""
        place = (spec.name, spec.version)
        pool = self._pools.get(place)
        if pool is not None and pool.spec.revision == spec.revision:
            return pool
        minimum = 0
        if pool is not None:
            minimum = pool.minimum
            self._retire(pool)
        pool = Pool(spec, self._start, lambda: self._may_grow(spec.name), freeze=self._platform.freeze)
        self._pools[place] = pool
        if minimum:
            pool.set_minimum(minimum)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        return pool

    def renew(self, spec: FunctionSpec) -> None:
        """The function has a new state: what runs the old one takes no more requests."""
        if (spec.name, spec.version) in self._pools:
            self.pool(spec)

    def rescale(self, function: str, wanted: Mapping[FunctionSpec, int], in_use: Set[str]) -> None:
        """Set minimum instances of a function's states; what no qualifier names any more need not stay warm."""
        minimum = {spec.version: count for spec, count in wanted.items()}
        for spec in wanted:
            self.pool(spec)
        for (name, version), pool in list(self._pools.items()):
            if name == function:
                pool.set_minimum(minimum.get(version, 0))
                if version not in in_use:
                    pool.reclaim(0.0)

    def drop(self, function: str) -> None:
        """The function is deleted."""
        for place in [place for place in self._pools if place[0] == function]:
            self._retire(self._pools.pop(place))

    def instances(self) -> list[Instance]:
        """Every instance there is, those of retired states included."""
        return [instance for pool in [*self._pools.values(), *self._retired] for instance in pool.instances]

    def credentials(self, spec: FunctionSpec) -> AccessKey | None:
        """STS credentials of the function's role, renewed every few minutes; `None` without a role."""
        if not spec.role:
            return None
        now = self._platform.clock.now()
        if now - self._session_times.get(spec.role, float("-inf")) >= CREDENTIALS_ROTATE_SECONDS:
            self._new_session(spec)
        return self._sessions[spec.role]

    def _new_session(self, spec: FunctionSpec) -> AccessKey | None:
        """New credentials of the function's role; from now on requests carry them too. `None` without a role."""
        if not spec.role:
            return None
        session = self._platform.account.open_session("role/" + spec.role.split(":role/", 1)[1])
        self._sessions[spec.role], self._session_times[spec.role] = session, self._platform.clock.now()
        return session

    def control_headers(self, spec: FunctionSpec, invocation: Invocation, control_path: str) -> dict[str, str]:
        """The `x-fc-*` headers of one request to an instance."""
        credentials = self.credentials(spec) if spec.inject_request else None
        return control_headers(spec, self._platform.account, credentials, invocation, control_path)

    async def close(self) -> None:
        """Stop every instance in good order; at most about seven seconds."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        pools = [*self._pools.values(), *self._retired]
        await asyncio.gather(*(pool.close() for pool in pools))
        for log in self._logs.values():
            log.close()
        self.metrics.close()
        self._platform.threads.shutdown(wait=True)

    def kill(self) -> None:
        """End every process at once."""
        for pool in [*self._pools.values(), *self._retired]:
            pool.kill()

    def _retire(self, pool: Pool) -> None:
        pool.retire()
        self._retired.append(pool)

    def _may_grow(self, function: str) -> bool:
        mine = [instance for instance in self.instances() if instance.spec.name == function and not instance.killed_for]
        reserved = self._reserved(function)
        if reserved is not None and len(mine) >= reserved:
            return False
        return len(self.instances()) < INSTANCE_LIMIT

    async def _start(self, instance: Instance) -> None:
        spec, platform = instance.spec, self._platform
        fault = platform.faults.begin("fc.cold_start", spec.name)
        if fault is not None:
            if fault.action == "error":
                raise FcError(fault.status, fault.code or "InternalServerError", "an armed fault refuses the start")
            await asyncio.sleep(fault.seconds)
        python_bin = bare_python(platform.root)
        code_dir = spec.code.directory
        async with self._merge_lock:
            opt_dir = await platform.in_thread(archive.merge_layers, platform.root, spec.layers)
        home = platform.root / "home" / instance.instance_id
        port = free_port()
        variables = instance_environment(
            spec,
            platform.account,
            instance_id=instance.instance_id,
            port=port,
            credentials=self._new_session(spec),
            code_dir=code_dir,
            opt_dir=opt_dir,
            home=home,
            python_bin=python_bin,
        )
        command = tuple(map_command(spec, code_dir, opt_dir))
        site = Site(
            command=command,
            environment=variables,
            port=port,
            code_dir=code_dir,
            home=home,
            guardian=platform.guardian,
            log=self._log(spec.name),
            in_thread=platform.in_thread,
        )
        await instance.start(site)
        if spec.initializer_seconds:
            await self._initialise(instance)
        platform.tell(
            "instance.started",
            function=spec.name,
            version=spec.version,
            instance_id=instance.instance_id,
            pid=instance.pid,
            duration_ms=round((time.monotonic() - instance.started_at) * 1000),
        )

    async def _initialise(self, instance: Instance) -> None:
        """Run the initializer: 2xx is success (custom runtime protocol)."""
        headers = self.control_headers(instance.spec, Invocation(), "/initialize")
        failure = "did not answer in time"
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            asking = instance.ask("POST", "/initialize", headers, b"")
            status = await asyncio.wait_for(asking, instance.spec.initializer_seconds)
            if 200 <= status < 300:
                return
            failure = f"answered {status}"
        raise FcError(502, "InitializationError", f"the initializer of function '{instance.spec.name}' {failure}")

    def _log(self, function: str) -> LogFile:
        if function not in self._logs:
            self._logs[function] = LogFile(self._platform.log_dir / f"{function}.jsonl")
        return self._logs[function]

    async def _sweep(self) -> None:
        period = min(5.0, max(0.05, self._platform.idle_seconds / 4))
        while True:
            await asyncio.sleep(period)
            self._retired = [pool for pool in self._retired if pool.instances]
            for pool in self._pools.values():
                pool.reclaim(self._platform.idle_seconds)


@contextlib.contextmanager
def time_limit(instance: Instance) -> Iterator[None]:
    """Kill the instance when the function's timeout passes; `instance.killed_for` then says `timeout`."""
    seconds = instance.spec.timeout_seconds
    timer = asyncio.get_running_loop().call_later(seconds, instance.kill, "timeout")
    try:
        yield
    finally:
        timer.cancel()


def failure(instance: Instance, started_at: float) -> dict[str, Any]:
    """The error body when an instance broke off, in Function Compute's words (its FAQ; the times are ours)."""
    duration_ms = round((time.monotonic() - started_at) * 1000)
    if instance.killed_for == "timeout":
        text = f"Function time out after {instance.spec.timeout_seconds}s"
    else:
        text = "Process exited unexpectedly before completing request"
    return {"errorMessage": f"{text} (duration: {duration_ms}ms, maxMemoryUsage: 0.00MB)"}
