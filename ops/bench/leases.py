"""Leases beside a bare Starlette endpoint that answers the same bytes: requests per second when warm, and the start.

The lease is authenticated, limited and logged (to a file, as on Function Compute), and the bare endpoint gets the same
requests. Targets: 60 % of its requests per second, and at most 1.6 times its time from the start of the process to the
first lease, the platform's initializer included.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.bench import load, servers

RUNS, SECONDS, STARTS = 5, 2.0, 5
RATE_TARGET, START_TARGET = 0.6, 1.6
PATH = "/v1/token"
BODY = b'{"use":"realtime_asr"}'
UNLIMITED = "1000000/second"  # the limiter works for every request and refuses none


def post(port: int, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """One request on a connection of its own.

    Raises
    ------
    load.Failed
        It is not 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise load.Failed(f"{path}: {answer.status} {content[:300]!r}")
        return content
    finally:
        connection.close()


def command(module: str) -> list[str]:
    """How an instance is started."""
    return [sys.executable, "-m", "isikit.host", module]


def bare_command(answer: Path) -> list[str]:
    """How the bare endpoint is started."""
    return [sys.executable, "-m", "ops.bench.bare", str(answer)]


def begin(port: int, log: Path, function: servers.Function) -> None:
    """Wait for an instance and call its initializer, as the platform does before the first request."""
    servers.accepts(port, log)
    post(port, "/initialize", {**function.headers, "x-fc-control-path": "/initialize"}, b"")


def start_ups(function: servers.Function, headers: Mapping[str, str], folder: Path, answer: Path, runs: int) -> bool:
    """Measure, print and judge the starts."""
    first_answer, first_lease, bare = load.Series(), load.Series(), load.Series()
    bare_env = {"PYTHONPATH": function.environment["PYTHONPATH"]}
    for _ in range(runs):
        port, log = servers.free_port(), folder / "bare-start.log"
        with servers.started(bare_command(answer), bare_env, log, port) as server:
            servers.accepts(port, log)
            post(port, PATH, headers, BODY)
            bare.values.append((time.perf_counter() - server.begun) * 1000)
        port, log = servers.free_port(), folder / "start.log"
        with servers.started(command(function.module), function.environment, log, port) as server:
            servers.accepts(port, log)
            health = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            health.request("GET", "/healthz")
            health.getresponse().read()
            health.close()
            first_answer.values.append((time.perf_counter() - server.begun) * 1000)
            begin(port, log, function)
            post(port, PATH, headers, BODY)
            first_lease.values.append((time.perf_counter() - server.begun) * 1000)
    answered, leased = load.ratios(first_answer, bare), load.ratios(first_lease, bare)
    print(f"from the start of the process, ms; median of {runs} interleaved starts (spread)")
    print(f"  bare endpoint, first answer   {bare}")
    print(f"  leases, first HTTP answer     {first_answer}   {answered.median:.2f} times")
    print(f"  leases, first lease           {first_lease}   {leased.median:.2f} times, with initialize and CreateToken")
    kept = leased.median <= START_TARGET
    print(f"  target: the first lease at most {START_TARGET} times the bare: {'kept' if kept else 'MISSED'}")
    return kept


def rates(function: servers.Function, headers: Mapping[str, str], folder: Path, runs: int, seconds: float) -> bool:
    """Measure, print and judge warm requests."""
    port, other = servers.free_port(), servers.free_port()
    log, answer = folder / "leases.log", folder / "answer.json"
    with servers.serving(command(function.module), function.environment, log, port) as instance:
        begin(port, log, function)
        answer.write_bytes(post(port, PATH, headers, BODY))
        bare_env = {"PYTHONPATH": function.environment["PYTHONPATH"]}
        with servers.serving(bare_command(answer), bare_env, folder / "bare.log", other) as endpoint:
            ours, bare = load.Target("leases", instance), load.Target("bare", endpoint)
            load.interleaved([ours, bare], load.Request(PATH, headers, BODY), runs, seconds)
    share = load.ratios(ours.rate, bare.rate)
    print(f"warm, median of {runs} interleaved runs of {seconds:.0f} s (spread); {load.tool()}")
    for target in (bare, ours):
        print(f"  {target}")
    kept = share.median >= RATE_TARGET
    print(f"  share {share.median:.2f} ({min(share.values):.2f} to {max(share.values):.2f})", end="   ")
    print(f"by processor time {load.ratios(bare.cpu_us, ours.cpu_us).median:.2f}", end="   ")
    print(f"target: at least {RATE_TARGET}: {'kept' if kept else 'MISSED'}")
    return kept


def open_limits(function: servers.Function) -> servers.Function:
    """The same function with rates that nobody reaches."""
    names = ("LEASES", "UPLOADS", "PROMPTS", "JOBS", "RECOGNITIONS")
    raised = {f"ISI_RATE_{name}": UNLIMITED for name in names}
    return servers.Function(function.module, {**function.environment, **raised}, function.headers)


def of_client(function: servers.Function, found: Mapping[str, Any]) -> dict[str, str]:
    """A client's headers, and the platform's."""
    return {**function.headers, "x-api-key": found["tenant"]["api_key"], "content-type": "application/json"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all targets are kept, 1 when one is missed, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="scripts/bench leases", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="interleaved runs (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (default %(default)s)")
    parser.add_argument("--starts", type=int, default=STARTS, help="start-ups, 0 for none (default %(default)s)")
    options = parser.parse_args(arguments)
    busy = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {busy:.1f}" + (": busy, so figures are low" if busy > 1 else ""))
    with tempfile.TemporaryDirectory(prefix="leases-bench-") as name:
        folder = Path(name)
        try:
            with servers.localcloud(folder / "out", deployed=True) as (found, _):
                endpoints = json.loads((folder / "out" / "run" / "endpoints.json").read_text(encoding="utf-8"))
                function = open_limits(servers.function(endpoints, "token"))
                headers = of_client(function, found)
                kept = rates(function, headers, folder, max(options.runs, 1), options.seconds)
                if options.starts > 0:
                    answer = folder / "answer.json"
                    kept &= start_ups(function, headers, folder, answer, options.starts)
        except (servers.NotStarted, load.Failed) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
    return 0 if kept else 1
