"""Load on one URL: by `wrk` on the other core where it is installed, else by a Python client, which says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.bench.servers import Server, pinned

CONNECTIONS = 16
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Failed(Exception):
    """The load was not answered as it should be: figures of it would mean nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked again and again, and the status of its right answer."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 200


@dataclass(slots=True)
class Series:
    """One figure of one server: a value a run."""

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{self.median:8.1f} ({min(self.values):.1f} to {max(self.values):.1f})"


@dataclass(slots=True)
class Target:
    """One server under load, a value a run: requests a second, the 99th percentile in ms, processor time a request.

    Processor time says the same as the rate of a busy server, and hardly changes when the machine has other work.
    """

    name: str
    server: Server
    rate: Series = field(default_factory=Series)
    p99_ms: Series = field(default_factory=Series)
    cpu_us: Series = field(default_factory=Series)

    def __str__(self) -> str:
        return f"{self.name:8} {self.rate} a second   p99 {self.p99_ms} ms   processor {self.cpu_us} us a request"


def tool() -> str:
    """What makes the load, in words."""
    if shutil.which("wrk"):
        return f"wrk, 1 thread, {CONNECTIONS} connections, on the other core"
    return f"a Python client (wrk is not installed), {CONNECTIONS} connections: it is slower than what it measures"


def interleaved(targets: Sequence[Target], request: Request, runs: int, seconds: float) -> None:
    """`runs` of each, in turn and in changing order, so that a machine that drifts does so for all."""
    for target in targets:
        _run(target.server.url, request, 0.5)  # warm
    for number in range(runs):
        for target in targets if number % 2 == 0 else reversed(targets):
            before = target.server.cpu_seconds()
            requests, rate, p99_ms = _run(target.server.url, request, seconds)
            target.rate.values.append(rate)
            target.p99_ms.values.append(p99_ms)
            target.cpu_us.values.append((target.server.cpu_seconds() - before) / requests * 1e6)


def ratios(ours: Series, bare: Series) -> Series:
    """Ours by theirs, run by run."""
    return Series([one / other for one, other in zip(ours.values, bare.values, strict=True)])


def _run(url: str, request: Request, seconds: float) -> tuple[int, float, float]:
    """Requests answered, requests a second, and the 99th percentile in ms."""
    if shutil.which("wrk"):
        return _wrk(url, request, seconds)
    return asyncio.run(_python(url, request, seconds))


def _wrk(url: str, request: Request, seconds: float) -> tuple[int, float, float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        script = Path(folder) / "request.lua"
        lines = ['wrk.method = "POST"', f"wrk.body = {_lua(request.body.decode())}"]
        lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in request.headers.items()]
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(script)]
        said = subprocess.run(
            pinned([*command, url + request.path], 1), capture_output=True, text=True, timeout=seconds + 30, check=True
        ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    answered = re.search(r"(\d+) requests in", said)
    if rate is None or p99 is None or answered is None or "Non-2xx" in said or "Socket errors" in said:
        raise Failed(f"{url}{request.path}: {said}")
    return int(answered[1]), float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]]


def _lua(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # what JSON escapes here, Lua reads alike


async def _python(url: str, request: Request, seconds: float) -> tuple[int, float, float]:
    host, _, port = url.removeprefix("http://").partition(":")
    head = f"POST {request.path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(request.body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    message = head.encode() + b"\r\n" + request.body
    taken: list[float] = []
    ends = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            while (begun := time.perf_counter()) < ends:
                writer.write(message)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", answer)
                if length is None or not answer.startswith(b"HTTP/1.1 %d " % request.status):
                    raise Failed(f"{url}{request.path}: {answer[:200]!r}")
                await reader.readexactly(int(length[1]))
                taken.append(time.perf_counter() - begun)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    taken.sort()
    return len(taken), len(taken) / seconds, taken[len(taken) * 99 // 100] * 1000
