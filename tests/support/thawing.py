"""A localcloud whose functions live in its time and reach its services through relays that can forget.

A freeze of ten minutes does two things that a stopped process on a laptop does not show: the process's own clock has
moved when it goes on, and the other ends of its kept connections are gone without a word. Here both are done to the
deployed functions from outside. `time.time()` of an instance is the machine's plus an offset that lies in a file (the
deployment puts a `sitecustomize` in front of its path; signatures' stamps, which use other calls, stay those of the
machine, by which localcloud judges them). And storage, speech and token API are reached through relays: `forget` makes
every open connection a black hole, which neither answers nor closes, and counts who still speaks into one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import struct
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from ops import deploy, manifest
from support.local_cloud import Local, running

RELAYED = {"ISI_OSS_INTERNAL": "oss", "ISI_NLS_REST": "nls_rest", "ISI_POP_NLS_META": "pop"}
_CLOCK = """
import mmap, struct, time
with open({path!r}, "rb") as file:
    _offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
_machine = time.time
time.time = lambda: _machine() + struct.unpack("d", _offset)[0]
"""


class Relays:
    """One listening port for each service of a localcloud that need not have started yet."""

    def __init__(self, endpoints: Path) -> None:
        self.spoken_to_the_dead = 0
        self._endpoints = endpoints
        self._generation = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test server", daemon=True)
        self._thread.start()
        self._servers: dict[str, asyncio.Server] = {}
        self._pairs: set[asyncio.Task[None]] = set()

    def open(self) -> dict[str, str]:
        """Listen; setting -> URL."""
        return asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def forget(self) -> None:
        """From now on nothing comes through on connections that are open."""
        self._generation += 1

    def close(self) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> dict[str, str]:
        for service in RELAYED.values():
            self._servers[service] = await asyncio.start_server(self._serving(service), "127.0.0.1", 0)
        ports = {name: server.sockets[0].getsockname()[1] for name, server in self._servers.items()}
        return {setting: f"http://127.0.0.1:{ports[service]}" for setting, service in RELAYED.items()}

    def _serving(self, service: str) -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._pairs.add(task)
            try:
                await self._pass_on(service, reader, writer)
            finally:
                self._pairs.discard(task)

        return serve

    async def _pass_on(self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        born = self._generation
        target = urlsplit(json.loads(self._endpoints.read_text())[service])
        there, back = await asyncio.open_connection(target.hostname, target.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, back, born, asked=True))
                both.create_task(self._pump(there, writer, born, asked=False))
        finally:
            for end in (writer, back):
                end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, born: int, *, asked: bool) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if born == self._generation:
                    sink.write(data)
                    await sink.drain()
                else:
                    self.spoken_to_the_dead += asked
        if born == self._generation or asked:
            sink.close()

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        for task in self._pairs:
            task.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)


@dataclasses.dataclass
class Thawing:
    """The running localcloud, its relays, and the file with the instances' offset."""

    local: Local
    relays: Relays
    offset: Path
    advanced: float = 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock of the services and of the instances, those that stand still included."""
        self.advanced += seconds
        with self.offset.open("r+b") as file:
            file.write(struct.pack("d", self.advanced))
        requests.post(
            self.local.config["admin"] + "/clock", json={"advance_seconds": seconds}, timeout=10
        ).raise_for_status()

    def instances(self, function: str) -> list[dict[str, Any]]:
        """The instances of `token`, `tts` or `asr` that there are."""
        found = requests.get(self.local.config["admin"] + "/instances", timeout=10).json()
        return [one for one in found if function in one["function"].split("-")]

    def await_frozen(self, *functions: str) -> None:
        """Until every instance stands still."""
        deadline = time.monotonic() + 20
        while not all(one["frozen"] for name in functions for one in self.instances(name)):
            assert time.monotonic() < deadline, "an instance is not frozen"
            time.sleep(0.02)

    def arm(self, **fault: Any) -> None:
        """Arm a fault."""
        requests.post(self.local.config["admin"] + "/faults", json=fault, timeout=10).raise_for_status()

    def disarm(self) -> None:
        """Drop all faults."""
        requests.delete(self.local.config["admin"] + "/faults", timeout=10).raise_for_status()

    def at_once(self, *calls: tuple[str, dict[str, Any]]) -> list[requests.Response]:
        """POST them all at the same time."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(lambda call: self.local.post(call[0], json=call[1]), calls))

    def set_concurrency(self, function: str, requests_at_once: int) -> None:
        """Publish the function with another `instanceConcurrency`: its instances of before are gone for new calls."""
        endpoints = json.loads((self.local.out / "run" / "endpoints.json").read_text())
        name = next(one["function"] for one in self.instances(function))
        client = Client(
            Config(
                access_key_id=endpoints["access_key_id"],
                access_key_secret=endpoints["access_key_secret"],
                endpoint=endpoints["fc"].removeprefix("http://"),
                protocol="http",
            )
        )
        changed = models.UpdateFunctionInput(instance_concurrency=requests_at_once)
        client.update_function(name, models.UpdateFunctionRequest(body=changed))
        version = client.publish_function_version(
            name, models.PublishFunctionVersionRequest(body=models.PublishVersionInput())
        ).body.version_id
        client.update_alias(name, "live", models.UpdateAliasRequest(body=models.UpdateAliasInput(version_id=version)))


@contextmanager
def thawing(folder: Path) -> Iterator[Thawing]:
    """Start it, deployed."""
    out, offset = folder / "out", folder / "offset"
    offset.write_bytes(struct.pack("d", 0.0))
    (folder / "sitecustomize.py").write_text(_CLOCK.format(path=str(offset)))
    relays = Relays(out / "run" / "endpoints.json")
    try:
        settings = json.dumps(relays.open())
        run = "import sys; sys.path.insert(0, 'tests'); from support.thawing import main; main()"
        command = (sys.executable, "-c", run, str(folder), settings, "local")
        with running(out, deploy=command) as local:
            yield Thawing(local, relays, offset)
    finally:
        relays.close()


def main() -> None:
    """The deploying command: `ops.deploy`'s arguments behind the folder of the clock and the relays' addresses."""
    folder, settings = sys.argv[1], json.loads(sys.argv[2])
    del sys.argv[1:3]
    load = manifest.load

    def through_relays(*arguments: Any, **named: Any) -> manifest.Manifest:
        loaded = load(*arguments, **named)
        for resource in loaded.resources.values():
            own = resource.props["environmentVariables"]
            resource.props["environmentVariables"] = {
                **own,
                **settings,
                "PYTHONPATH": f"{folder}:{own['PYTHONPATH']}",
            }
        return loaded

    manifest.load = through_relays
    deploy.main()


if __name__ == "__main__":
    main()
