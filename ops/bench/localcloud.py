"""localcloud's own speed: put and get of 100 KB through oss2 beside a plain moto server, and the time until it is up.

Both targets are judged by medians: localcloud's OSS at least as fast as moto in the same interleaved runs, and the
whole localcloud with `tone` up in 3 seconds once built.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import build
from ops.bench import servers

SIZE_BYTES = 100 * 1024
RUNS, CALLS, UP_RUNS = 5, 100, 3
UP_TARGET_SECONDS = 3.0
MISSING = (
    "moto is not installed here, so nothing was compared. `moto[s3]`, `flask` and `flask-cors` in requirements/dev.in\n"
    "bring it (scripts/bench installs them); or name an interpreter that has it: --moto-python PYTHON"
)


@dataclass(slots=True)
class Series:
    """Milliseconds of one operation on one server: the median of each run."""

    medians_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """The median of the runs' medians."""
        return statistics.median(self.medians_ms)

    def __str__(self) -> str:
        return f"{self.median_ms:6.2f} ms   ({min(self.medians_ms):.2f} to {max(self.medians_ms):.2f})"


@dataclass(slots=True)
class Store:
    """One server's bucket under measurement. `errors` are calls that it failed and that were not counted."""

    name: str
    bucket: Any
    put: Series = field(default_factory=Series)
    get: Series = field(default_factory=Series)
    errors: int = 0

    def measure(self, data: bytes, calls: int) -> None:
        """One run: `calls` puts, then as many gets, in one thread."""
        self._run(self.put, lambda number: self.bucket.put_object(f"bench/{number}", data), calls)
        self._run(self.get, lambda number: self.bucket.get_object(f"bench/{number}").read(), calls)

    def _run(self, series: Series, call: Callable[[int], object], calls: int) -> None:
        import oss2

        taken: list[float] = []
        for number in range(calls):
            started = time.perf_counter()
            try:
                call(number)
            except oss2.exceptions.OssError:  # moto fails one V1 request in about 1400
                self.errors += 1
                continue
            taken.append((time.perf_counter() - started) * 1000)
        series.medians_ms.append(statistics.median(taken))


def storage(folder: Path, moto_python: str, runs: int, calls: int) -> list[Store]:
    """Measure localcloud (V4, as this project signs, and V1) and, where it is installed, moto (V1: it fails V4)."""
    import oss2

    data = os.urandom(SIZE_BYTES)
    with contextlib.ExitStack() as stack:
        found, _ = stack.enter_context(servers.localcloud(folder / "out", deployed=False))
        key = (found["access_key_id"], found["access_key_secret"])
        stores = [
            Store("localcloud V4", oss2.Bucket(oss2.AuthV4(*key), found["oss"], "bench-v4", region=found["region"])),
            Store("localcloud V1", oss2.Bucket(oss2.Auth(*key), found["oss"], "bench-v1")),
        ]
        if servers.has_moto(moto_python):
            url = stack.enter_context(servers.moto(moto_python, folder / "moto.log"))
            stores.append(Store("moto V1", oss2.Bucket(oss2.Auth("id", "secret"), url, "bench-moto")))
        for store in stores:
            store.bucket.create_bucket()
            store.measure(data, 10)  # warm
            store.put, store.get, store.errors = Series(), Series(), 0
        for number in range(runs):
            for store in stores if number % 2 == 0 else reversed(stores):
                store.measure(data, calls)
        return stores


def start_ups(folder: Path, runs: int) -> tuple[float, list[float]]:
    """Seconds from the command to `local.json`, built before: the first time in a directory, then again in it."""
    build.build(lambda line: print(f"  {line}", flush=True))
    taken = []
    for _ in range(1 + runs):
        with servers.localcloud(folder / "up", deployed=True) as (_, seconds):
            taken.append(seconds)
    return taken[0], taken[1:]


def report(stores: Sequence[Store]) -> bool:
    """Print the table; whether localcloud keeps its target (true when there was nothing to compare with)."""
    print(f"100 KB through oss2, one thread; median of {len(stores[0].put.medians_ms)} interleaved runs (their spread)")
    for store in stores:
        failed = f"   {store.errors} calls failed" if store.errors else ""
        print(f"  {store.name:14} put {store.put}   get {store.get}{failed}")
    ours, others = stores[0], [store for store in stores if store.name.startswith("moto")]
    if not others:
        print(MISSING)
        return True
    (moto,) = others
    fast = {"put": ours.put.median_ms <= moto.put.median_ms, "get": ours.get.median_ms <= moto.get.median_ms}
    for what, is_fast in fast.items():
        print(f"  target: {what} at least as fast as moto: {'kept' if is_fast else 'MISSED'}")
    return all(fast.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all targets are kept, 1 when one is missed, 2 when a server did not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench localcloud", description=__doc__)
    parser.add_argument("--moto-python", default=sys.executable, metavar="PYTHON", help="an interpreter with moto")
    parser.add_argument("--runs", type=int, default=RUNS, help="interleaved runs (default %(default)s)")
    parser.add_argument("--calls", type=int, default=CALLS, help="calls a run and operation (default %(default)s)")
    parser.add_argument("--up-runs", type=int, default=UP_RUNS, help="start-ups, 0 for none (default %(default)s)")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}" + (": busy, so figures are high" if load > 1 else ""))
    with tempfile.TemporaryDirectory(prefix="localcloud-bench-") as name:
        folder = Path(name)
        try:
            kept = report(storage(folder, options.moto_python, max(options.runs, 1), max(options.calls, 1)))
            if options.up_runs > 0:
                first, taken = start_ups(folder, options.up_runs)
                median = statistics.median(taken)
                is_up = median <= UP_TARGET_SECONDS
                print(f"up, deployed and healthy: {median:.2f} s   ({min(taken):.2f} to {max(taken):.2f})")
                print(f"  the first time in a new directory, which unpacks the layers: {first:.2f} s")
                print(f"  target: up in {UP_TARGET_SECONDS:.0f} s once built: {'kept' if is_up else 'MISSED'}")
                kept = kept and is_up
        except servers.NotStarted as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
    return 0 if kept else 1
