"""All services of one localcloud in one process, on sockets of their own; used by the command line and by tests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiohttp import web

from localcloud import admin, gateway, nls, oss, pop, sls
from localcloud.account import Account
from localcloud.children import Guardian
from localcloud.clock import Clock
from localcloud.code_in_oss import CodeInOss
from localcloud.engines import Engine, make
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute
from localcloud.log import Log, libraries_to
from localcloud.ports import FUNCTIONS, HOST, bind_again, bind_all, close_all, url
from localcloud.relay import HEADER_LINE_LIMIT_BYTES
from localcloud.workspace import Workspace, write_whole

_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where everything is. URLs have no slash at the end; `nls_websocket` ends in `/ws/v1`.

    `function_ports` are the ports of the HTTP triggers of `token`, `tts` and `asr`, taken before they are deployed.
    """

    account_id: str
    region: str
    oss: str
    nls_rest: str
    nls_websocket: str
    pop: str
    fc: str
    gateway: str
    admin: str
    sls: str
    appkey: str
    appkey_8k: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    function_ports: dict[str, int]


class Cloud:
    """Starts and stops the services.

    Parameters
    ----------
    out
        The output directory; it is claimed by `start` and released by `close`.
    engine
        `tone` or `speech`.
    port_base
        Ports are `port_base` + the place in `ports.ORDER`; free ones when it is `None`.
    fresh
        Begin with empty buckets and logs instead of those of the run before.
    freeze, idle_seconds
        See `FunctionCompute`.
    """

    def __init__(
        self,
        out: Path,
        engine: str = "tone",
        port_base: int | None = None,
        *,
        fresh: bool = False,
        freeze: bool = True,
        idle_seconds: float = 3600.0,
    ) -> None:
        self.workspace = Workspace(out)
        self.clock = Clock()
        self.account = Account(self.clock)
        self.faults = Faults()
        self.speech_limits = nls.Limits()
        self.guardian = Guardian()
        self.fc: FunctionCompute | None = None
        self._engine_name = engine
        self._port_base = port_base
        self._fresh = fresh
        self._freeze = freeze
        self._idle_seconds = idle_seconds
        self._sockets: dict[str, socket.socket] = {}
        self._function_ports: dict[str, int] = {}
        self._started = contextlib.AsyncExitStack()

    async def start(self) -> Endpoints:
        """Start everything and write `out/run/endpoints.json`; what has started is stopped again if something fails.

        Raises
        ------
        InUse
            The directory belongs to a running localcloud.
        PortTaken
            A port is in use.
        EngineUnavailable
            The engine's packages are missing.
        """
        try:
            return await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> Endpoints:
        self.workspace.claim()
        self._started.callback(self.workspace.release)
        if self._fresh:
            self.workspace.empty()
        self._sockets = bind_all(self._port_base)
        self._function_ports = {name: self._sockets[name].getsockname()[1] for name in FUNCTIONS}
        self._started.callback(close_all, self._sockets)
        log = Log(self.workspace.logs / "localcloud.jsonl")
        self._started.callback(log.close)
        self._started.enter_context(libraries_to(log))
        engine: Engine = make(self._engine_name)
        self._started.push_async_callback(engine.close)
        self._started.callback(self.guardian.close)
        store = await asyncio.to_thread(oss.FileStore, self.workspace.out / "oss", self.clock)
        fc = self.fc = FunctionCompute(
            self.workspace.out / "fc",
            self.account,
            self.faults,
            self.clock,
            self.workspace.logs,
            bind=self._function_socket,
            guardian=self.guardian,
            log=log,
            freeze=self._freeze,
            idle_seconds=self._idle_seconds,
            code_store=CodeInOss(store, f"fc-temp-code-{self.account.account_id}"),
        )
        endpoints = self._endpoints()
        routes = {name: f"http://{HOST}:{port}" for name, port in endpoints.function_ports.items()}
        # Stopped in the reverse order: first the doors, then the functions, then what functions call while they stop.
        await self._serve(
            oss=oss.make_app(store, self.account, self.faults, self.clock, fc.object_created),
            nls=nls.make_app(self.account, engine, self.faults, self.clock, limits=self.speech_limits),
            pop=pop.make_app(self.account, self.faults, self.clock, engine),
            sls=sls.make_app(self.faults),
        )
        self._started.push_async_callback(fc.close)
        desk = gateway.Desk(self.clock, fc)
        await self._serve(
            fc=fc.control_app(),
            admin=desk.at(admin.make_app(self.account, self.faults, self.clock, fc, self.speech_limits)),
            gateway=gateway.make_app(routes, desk.policies),
        )
        write_whole(self.workspace.endpoints, asdict(endpoints))
        log.event("localcloud.started", engine=self._engine_name, account_id=self.account.account_id)
        return endpoints

    async def close(self) -> None:
        """Stop everything in the reverse order of its start. May be called twice."""
        await self._started.aclose()

    def kill(self) -> None:
        """End every function instance at once; for a shutdown that cannot wait."""
        if self.fc is not None:
            self.fc.kill()

    def _endpoints(self) -> Endpoints:
        bound = self._sockets
        projects = {project.sample_rate_hz: project for project in self.account.projects.values()}
        for rate_hz in (
            16000,
            8000,
        ):  # telephone calls are 8 kHz, and file recognition takes each rate by its own model
            if rate_hz not in projects:
                projects[rate_hz] = self.account.add_project(sample_rate_hz=rate_hz)
        return Endpoints(
            account_id=self.account.account_id,
            region=self.account.region,
            oss=url(bound["oss"]),
            nls_rest=url(bound["nls"]),
            nls_websocket=url(bound["nls"], "ws") + "/ws/v1",
            pop=url(bound["pop"]),
            fc=url(bound["fc"]),
            gateway=url(bound["gateway"]),
            admin=url(bound["admin"]),
            sls=url(bound["sls"]),
            appkey=projects[16000].appkey,
            appkey_8k=projects[8000].appkey,
            access_key_id=self.account.root.access_key_id,
            access_key_secret=self.account.root.access_key_secret,
            function_ports=self._function_ports,
        )

    async def _serve(self, **apps: web.Application) -> None:
        """Serve applications on their sockets; they are stopped together."""
        runners: list[web.AppRunner] = []

        async def clean_up() -> None:
            await asyncio.gather(*(runner.cleanup() for runner in runners))

        self._started.push_async_callback(clean_up)
        for name, app in apps.items():
            runner = web.AppRunner(
                app,
                auto_decompress=False,  # a body goes on as it came
                access_log=None,
                handler_cancellation=name == "gateway",  # a client that goes away is felt by the function
                shutdown_timeout=_SHUTDOWN_SECONDS,
                max_line_size=HEADER_LINE_LIMIT_BYTES,
                max_field_size=HEADER_LINE_LIMIT_BYTES,
            )
            await runner.setup()
            runners.append(runner)
            await web.SockSite(runner, self._sockets[name], backlog=1024).start()

    def _function_socket(self, function_name: str) -> socket.socket | None:
        """The socket kept for `speech-tts-dev` and the like; `None` (any port) when another trigger listens on it."""
        for name in FUNCTIONS:
            if name in function_name.split("-"):
                kept = self._sockets.pop(name, None)
                return kept if kept is not None else bind_again(self._function_ports[name])
        return None
