"""`python -m localcloud`: start, deploy, announce, stay until told to stop, leave nothing behind."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from localcloud.children import Child
from localcloud.cloud import Cloud, Endpoints
from localcloud.engines import NAMES, EngineUnavailable
from localcloud.ports import FUNCTIONS, HOST, PortTaken
from localcloud.workspace import InUse, write_whole

STOP_LIMIT_SECONDS = 9.0
HEALTH_LIMIT_SECONDS = 150.0
_HEALTH_PAUSE_SECONDS = 0.5
_HEALTH_TRIES = 5
_FAILED, _CANNOT_START = 1, 2


class StartFailed(RuntimeError):
    """Deployment or a health check failed; the message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    out: Path
    engine: str
    port_base: int | None
    fresh: bool
    deploy: tuple[str, ...]


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; exits with 2 and a usage line when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="Run the whole cloud on this machine, in the foreground. Ctrl-C stops it.",
        epilog="exit status: 0 stopped in good order, 1 deployment or health check failed, 2 could not start "
        "(wrong options, directory or port in use, engine missing), 128+N interrupted by signal N while starting",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="output directory (default: out)")
    parser.add_argument(
        "--engine",
        choices=NAMES,
        default="speech",
        help="what speaks and listens: real speech, or instant tones in any language (default: speech)",
    )
    parser.add_argument("--port-base", type=int, help="ten ports from here on: gateway, fc, oss, nls, pop, sls, ...")
    parser.add_argument("--fresh", action="store_true", help="begin with empty buckets and logs")
    parser.add_argument(
        "--deploy",
        nargs=argparse.REMAINDER,
        default=[],
        help=argparse.SUPPRESS,  # scripts/up gives it: run with --endpoints FILE --result FILE once the services are up
    )
    given = parser.parse_args(arguments)
    return Options(given.out, given.engine, given.port_base, given.fresh, tuple(given.deploy))


def main(arguments: Sequence[str]) -> int:
    """Run until stopped and return the exit status."""
    return asyncio.run(_Run(parse(arguments)).run())


class _Run:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._cloud = Cloud(options.out, options.engine, options.port_base, fresh=options.fresh)
        self._received: signal.Signals | None = None
        self._work: asyncio.Task[int] | None = None
        self._up = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop, number)
        self._work = loop.create_task(self._until_stopped())
        try:
            status = await self._work
        except asyncio.CancelledError:
            assert self._received is not None
            status = 0 if self._up else 128 + self._received
        await self._close()
        return status

    def _stop(self, number: signal.Signals) -> None:
        if self._received is not None:  # a second one: at once
            self._cloud.kill()
            self._cloud.workspace.withdraw()
            os._exit(128 + number)
        self._received = number
        if self._work is not None:
            self._work.cancel()

    async def _until_stopped(self) -> int:
        try:
            endpoints = await self._cloud.start()
            if self._options.deploy:
                result = await self._deploy(endpoints)
                await self._check_health(endpoints, result)
                write_whole(self._cloud.workspace.summary, summary(endpoints, result))
        except (InUse, PortTaken, EngineUnavailable) as error:
            _say(f"localcloud: {error}", sys.stderr)
            return _CANNOT_START
        except StartFailed as error:
            _say(f"localcloud: {error}", sys.stderr)
            return _FAILED
        self._up = True
        self._announce(endpoints)
        await asyncio.Event().wait()
        return 0

    async def _close(self) -> None:
        if self._up:
            _say("localcloud: stopping")
        try:
            await asyncio.wait_for(self._cloud.close(), STOP_LIMIT_SECONDS)
        except TimeoutError:
            self._cloud.kill()

    async def _deploy(self, endpoints: Endpoints) -> dict[str, Any]:
        """Run the deploying command and return what it wrote to its result file."""
        workspace = self._cloud.workspace
        command = [*self._options.deploy, "--endpoints", str(workspace.endpoints), "--result", str(workspace.result)]
        child = Child.spawn(command, self._cloud.guardian)
        try:
            status = await child.wait()
        except asyncio.CancelledError:
            child.send(signal.SIGTERM)
            await asyncio.wait([child.exited], timeout=3.0)
            child.kill()
            await child.wait()
            raise
        if status != 0:
            raise StartFailed(f"the deployment failed with exit status {status}; its output is above")
        try:
            result: dict[str, Any] = json.loads(workspace.result.read_text(encoding="utf-8"))
            missing = {"tenant", "buckets", "functions"} - set(result)
        except (OSError, ValueError) as error:
            raise StartFailed(f"the deployment left no readable result in {workspace.result}") from error
        if missing:
            raise StartFailed(f"the deployment's result lacks {', '.join(sorted(missing))}")
        return result

    async def _check_health(self, endpoints: Endpoints, result: Mapping[str, Any]) -> None:
        """Wait for `GET /healthz` of every function through its HTTP trigger; this is their first cold start."""
        timeout = aiohttp.ClientTimeout(total=HEALTH_LIMIT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            await asyncio.gather(
                *(
                    self._healthy(http, name, result["functions"].get(name, name), endpoints.function_ports[name])
                    for name in FUNCTIONS
                )
            )

    async def _healthy(self, http: aiohttp.ClientSession, name: str, function: str, port: int) -> None:
        reason = ""
        for _ in range(_HEALTH_TRIES):
            try:
                async with http.get(f"http://{HOST}:{port}/healthz") as answer:
                    text = await answer.text()
                    if answer.status == 200:
                        return
                    reason = f"answers {answer.status}: {text[:300]}"
            except (TimeoutError, aiohttp.ClientError) as error:
                reason = f"does not answer ({type(error).__name__})"
            await asyncio.sleep(_HEALTH_PAUSE_SECONDS)
        log = self._cloud.workspace.logs / f"{function}.jsonl"
        raise StartFailed(f"the function {name} {reason}\n  what it printed is in {log}")

    def _announce(self, endpoints: Endpoints) -> None:
        workspace = self._cloud.workspace
        lines = [
            f"localcloud is up: engine {self._options.engine}, region {endpoints.region}. Ctrl-C stops it.",
            f"  gateway   {endpoints.gateway}",
            f"  fc        {endpoints.fc}",
            f"  oss       {endpoints.oss}",
            f"  nls       {endpoints.nls_rest}   {endpoints.nls_websocket}",
            f"  pop       {endpoints.pop}",
            f"  admin     {endpoints.admin}",
        ]
        if self._options.deploy:
            lines.append(f"  details   {workspace.summary} (tenant, API key, buckets, credentials)")
        else:
            lines.append(f"  details   {workspace.endpoints} (nothing is deployed yet)")
        lines.append(f"  logs      {workspace.logs}")
        _say("\n".join(lines))


def summary(endpoints: Endpoints, result: Mapping[str, Any]) -> dict[str, Any]:
    """What `out/local.json` says: where everything is and who may use it."""
    return {
        "gateway": endpoints.gateway,
        "functions": {name: f"http://{HOST}:{port}" for name, port in endpoints.function_ports.items()},
        "fc": endpoints.fc,
        "oss": {"endpoint": endpoints.oss, "region": endpoints.region, "buckets": result["buckets"]},
        "nls": {
            "websocket": endpoints.nls_websocket,
            "rest": endpoints.nls_rest,
            "appkey": endpoints.appkey,
        },
        "pop": endpoints.pop,
        "sls": {
            "endpoint": endpoints.sls,
            **(result.get("sls") or {"project": "speech-local", "logstore": "functions"}),
        },
        "credentials": {
            "access_key_id": endpoints.access_key_id,
            "access_key_secret": endpoints.access_key_secret,
        },
        "tenant": result["tenant"],
        "admin": endpoints.admin,
    }


def _say(text: str, stream: Any = None) -> None:
    """Print, also when nobody reads any more."""
    with contextlib.suppress(OSError):
        print(text, file=stream or sys.stdout, flush=True)
