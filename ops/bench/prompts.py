"""Prompts beside a bare Starlette endpoint, beside the speech service itself, and beside what people write today.

1. A warm hit, authenticated, limited and logged, beside a bare endpoint that reads the same JSON and answers the same
   bytes. Targets: 60 % of its requests per second, its 99th percentile below 1.5 times.
2. A miss beside the speech service's own time for the same text. Targets: at most 20 ms more, and at most 3 writes to
   OSS of which each waits for the one before.
3. Both transports and the usual handler: hit, miss and rush, over kept TLS connections and with a new one per request.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import ssl
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from ops.bench import load, over_tls, servers, spans
from ops.bench.leases import bare_command, begin, command, of_client, open_limits, post

RUNS, SECONDS = 5, 2.0
RATE_TARGET, P99_TARGET, MISS_TARGET_MS, WRITES_TARGET = 0.6, 1.5, 20.0, 3
PATH = "/v1/prompts"
MISSES, HITS, RUSH = 10, 40, 24
LOOKS = 4
"""Of a miss, one after another: for the rendition, for the master and its claim, after publishing each of the two."""
_TTS = "/stream/v1/tts"


@dataclass(frozen=True, slots=True)
class Place:
    """A running localcloud and what a bench needs of it."""

    found: Mapping[str, Any]
    endpoints: Mapping[str, Any]
    folder: Path

    def counted(self, *names: str) -> int:
        """The sum of some of localcloud's counters."""
        with urlopen(self.endpoints["admin"] + "/counters", timeout=10) as answer:  # noqa: S310 - loopback
            counters = json.load(answer)
        return sum(counters.get(name, 0) for name in names)


def body(text: str) -> bytes:
    """A permanent prompt as an IVR platform asks for it."""
    return json.dumps({"text": text, "retention": "permanent", "consumer": "asterisk"}).encode()


def new_text() -> str:
    """A text nobody asked for before, always of the same length."""
    return f"Your code is {uuid.uuid4().hex[:12]}."


def hits(place: Place, function: servers.Function, runs: int, seconds: float) -> bool:
    """Measure, print and judge warm hits."""
    headers, asked = of_client(function, place.found), body(new_text())
    port, other, log = servers.free_port(), servers.free_port(), place.folder / "prompts.log"
    answer = place.folder / "prompt.json"
    with servers.serving(command(function.module), function.environment, log, port) as instance:
        begin(port, log, function)
        post(port, PATH, headers, asked)
        answer.write_bytes(post(port, PATH, headers, asked))
        environment = {"PYTHONPATH": function.environment["PYTHONPATH"]}
        with servers.serving(bare_command(answer), environment, place.folder / "bare.log", other) as endpoint:
            ours, bare = load.Target("hit", instance), load.Target("bare", endpoint)
            load.interleaved([ours, bare], load.Request(PATH, headers, asked), runs, seconds)
    share, p99 = load.ratios(ours.rate, bare.rate), load.ratios(ours.p99_ms, bare.p99_ms)
    print(f"1. warm hit, median of {runs} interleaved runs of {seconds:.0f} s; {load.tool()}")
    for target in (bare, ours):
        print(f"  {target}")
    is_fast, is_even = share.median >= RATE_TARGET, p99.median < P99_TARGET
    print(f"  share {share.median:.2f} ({min(share.values):.2f} to {max(share.values):.2f})", end="   ")
    print(f"by processor time {load.ratios(bare.cpu_us, ours.cpu_us).median:.2f}", end="   ")
    print(f"target: at least {RATE_TARGET}: {'kept' if is_fast else 'MISSED'}")
    print(f"  p99 {p99.median:.2f} times ({min(p99.values):.2f} to {max(p99.values):.2f})", end="   ")
    print(f"target: below {P99_TARGET}: {'kept' if is_even else 'MISSED'}")
    return is_fast and is_even


def misses(place: Place, function: servers.Function, runs: int) -> bool:
    """Measure, print and judge misses, one at a time, each beside the speech service's own time."""
    headers, taken, speech = of_client(function, place.found), load.Series(), load.Series()
    port, log, file = servers.free_port(), place.folder / "misses.log", place.folder / "writes.txt"
    writes, chains, cpu_ms = load.Series(), load.Series(), load.Series()
    looks_alone, writes_alone, oss = load.Series(), load.Series(), _object_storage(place, function)
    environment = {**function.environment, "BENCH_WRITES": str(file)}
    with servers.serving(command("ops.bench.traced"), environment, log, port) as server:
        begin(port, log, function)
        speaker = _speech_service(place)
        ours = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        _ask(ours, headers, new_text())  # the first one warms
        speaker(new_text())
        for _ in range(runs):
            pairs, before = [], server.cpu_seconds()
            for _ in range(MISSES):
                file.unlink(missing_ok=True)
                pairs.append((_timed(lambda: _ask(ours, headers, new_text())), _timed(lambda: speaker(new_text()))))
                written = spans.read(file)
                writes.values.append(len(written))
                chains.values.append(spans.longest_chain(written))
            cpu_ms.values.append((server.cpu_seconds() - before) / MISSES * 1000)
            taken.values.append(statistics.median(one for one, _ in pairs))
            speech.values.append(statistics.median(one for _, one in pairs))
            looks_alone.values.append(_median(MISSES, lambda: oss("HEAD")))
            writes_alone.values.append(_median(MISSES, lambda: oss("PUT")))
        ours.close()
    over = load.Series([one - other for one, other in zip(taken.values, speech.values, strict=True)])
    print(f"2. miss, ms; {runs} runs of {MISSES}, each beside a synthesis of the same length; medians (spread)")
    print(f"  speech service alone {speech}\n  miss                 {taken}\n  over it              {over}")
    print(f"  processor time       {cpu_ms}")
    waited = LOOKS * looks_alone.median + WRITES_TARGET * writes_alone.median
    print(f"  localcloud's OSS alone, asked by a bare client: a look {looks_alone}, a write {writes_alone}")
    print(
        f"  a miss waits for {LOOKS} looks and {WRITES_TARGET} writes one after another: {waited:.1f} ms of it", end=""
    )
    print(f", {waited / over.median:.0%} of what it takes over the service")
    is_quick, is_frugal = over.median <= MISS_TARGET_MS, chains.median <= WRITES_TARGET
    print(f"  target: at most {MISS_TARGET_MS:.0f} ms over the service: {'kept' if is_quick else 'MISSED'}")
    print(f"  writes to OSS {writes}, one after another {chains}", end="   ")
    print(f"target: at most {WRITES_TARGET}: {'kept' if is_frugal else 'MISSED'}")
    return is_quick and is_frugal


def compared(place: Place, function: servers.Function, runs: int) -> None:
    """Measure and print both transports and the usual handler."""
    signed, key = over_tls.certificate(place.folder)
    trusted = ssl.create_default_context(cafile=str(signed))
    usual = {
        **function.environment,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": place.endpoints["access_key_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": place.endpoints["access_key_secret"],
        "BENCH_APPKEY": place.endpoints["appkey"],
    }
    candidates = {
        "rest": (function.module, {**function.environment, "ISI_NLS_TRANSPORT": "rest"}),
        "sdk": (function.module, {**function.environment, "ISI_NLS_TRANSPORT": "sdk"}),
        "usual": ("ops.bench.usual", usual),
    }
    headers = of_client(function, place.found)
    figures = {name: {what: load.Series() for what in _COLUMNS} for name in candidates}
    with contextlib.ExitStack() as stack:
        ports = {}
        for name, (module, environment) in candidates.items():
            ports[name], log = servers.free_port(), place.folder / f"{name}.log"
            served = [sys.executable, "-m", "ops.bench.over_tls", module, str(signed), str(key)]
            stack.enter_context(servers.serving(served, environment, log, ports[name]))
            with _opened(ports[name], trusted) as connection:
                _ask(connection, headers, new_text())  # the first one imports and fetches a token
        for number in range(runs):
            for name in list(candidates) if number % 2 == 0 else reversed(candidates):
                _one_run(place, ports[name], trusted, headers, figures[name])
    print(f"3. over TLS, ms; median of {runs} interleaved runs (spread); rush: {RUSH} at once for one new text")
    print(f"  {'':22}" + "".join(f"{name:>26}" for name in candidates))
    for what in _COLUMNS:
        print(f"  {what:22}" + "".join(f"{figures[name][what]!s:>26}" for name in candidates))


_COLUMNS = (
    "hit, kept", "hit, new TLS", "miss, kept", "miss, new TLS", "rush, kept", "rush, new TLS", "rush, syntheses",
    "rush, failures",
)  # fmt: skip


def _one_run(
    place: Place, port: int, trusted: ssl.SSLContext, headers: Mapping[str, str], into: Mapping[str, load.Series]
) -> None:
    hot = new_text()
    with _opened(port, trusted) as kept:
        _ask(kept, headers, hot)
        into["hit, kept"].values.append(_median(HITS, lambda: _ask(kept, headers, hot)))
        into["miss, kept"].values.append(_median(MISSES // 2, lambda: _ask(kept, headers, new_text())))
    into["hit, new TLS"].values.append(_median(HITS // 2, lambda: _alone(port, trusted, headers, hot)))
    into["miss, new TLS"].values.append(_median(MISSES // 2, lambda: _alone(port, trusted, headers, new_text())))
    before = place.counted("nls.synthesis")
    failures = 0
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(RUSH) as pool:
        connections = [stack.enter_context(_opened(port, trusted)) for _ in range(RUSH)]
        for connection in connections:
            connection.connect()
        text = new_text()
        begun = time.perf_counter()
        failures += sum(pool.map(lambda one: _fails(lambda: _ask(one, headers, text)), connections))
        into["rush, kept"].values.append((time.perf_counter() - begun) * 1000)
        text = new_text()
        begun = time.perf_counter()
        failures += sum(pool.map(lambda _: _fails(lambda: _alone(port, trusted, headers, text)), range(RUSH)))
        into["rush, new TLS"].values.append((time.perf_counter() - begun) * 1000)
    into["rush, syntheses"].values.append((place.counted("nls.synthesis") - before) / 2)
    into["rush, failures"].values.append(failures / 2)


def _ask(connection: http.client.HTTPConnection, headers: Mapping[str, str], text: str) -> None:
    connection.request("POST", PATH, body(text), dict(headers))
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise load.Failed(f"{PATH}: {answer.status} {content[:300]!r}")


def _alone(port: int, trusted: ssl.SSLContext, headers: Mapping[str, str], text: str) -> None:
    with _opened(port, trusted) as connection:
        _ask(connection, headers, text)


@contextlib.contextmanager
def _opened(port: int, trusted: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=trusted)
    try:
        yield connection
    finally:
        connection.close()


def _fails(call: Callable[[], None]) -> bool:
    try:
        call()
    except load.Failed:
        return True
    return False


def _timed(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _median(calls: int, call: Callable[[], None]) -> float:
    return statistics.median(_timed(call) for _ in range(calls))


def _speech_service(place: Place) -> Callable[[str], None]:
    """The service's own time: one REST call on a kept connection, read to its end."""
    asked = http.client.HTTPConnection(urlsplit(place.endpoints["gateway"]).netloc, timeout=30)
    asked.request("POST", "/v1/token", b"", {"x-api-key": place.found["tenant"]["api_key"]})
    token = json.load(asked.getresponse())["token"]
    asked.close()
    service = http.client.HTTPConnection(urlsplit(place.endpoints["nls_rest"]).netloc, timeout=30)

    def speak(text: str) -> None:
        wanted = {"appkey": place.endpoints["appkey"], "text": text, "format": "pcm", "sample_rate": 16000}
        service.request("POST", _TTS, json.dumps({**wanted, "voice": "xiaoyun"}),
                        {"X-NLS-Token": token, "Content-Type": "application/json"})  # fmt: skip
        answer = service.getresponse()
        content = answer.read()
        if answer.status != 200 or answer.headers["Content-Type"] != "audio/mpeg":
            raise load.Failed(f"the speech service: {answer.status} {content[:300]!r}")

    return speak


def _object_storage(place: Place, function: servers.Function) -> Callable[[str], None]:
    """OSS's own time: one HEAD or PUT of a rendition's size on a kept connection, signed beforehand."""
    import oss2

    keys = oss2.AuthV4(place.endpoints["access_key_id"], place.endpoints["access_key_secret"])
    endpoint, region = place.endpoints["oss"], place.endpoints["region"]
    bucket = oss2.Bucket(keys, endpoint, function.environment["ISI_BUCKET_PROMPTS"], region=region)
    content = bytes(16_000)
    signed = {method: bucket.sign_url(method, "p/bench/alone", 3600, slash_safe=True) for method in ("PUT", "HEAD")}
    service = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)

    def ask(method: str) -> None:
        parts = urlsplit(signed[method])
        service.request(method, f"{parts.path}?{parts.query}", content if method == "PUT" else None)
        answer = service.getresponse()
        answer.read()
        if answer.status != 200:
            raise load.Failed(f"OSS: {method} {answer.status}")

    ask("PUT")
    return ask


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all targets are kept, 1 when one is missed, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="scripts/bench prompts", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="interleaved runs (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run of hits (default %(default)s)")
    options = parser.parse_args(arguments)
    runs, busy = max(options.runs, 1), os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {busy:.1f}" + (": busy, so figures are low" if busy > 1 else ""))
    with tempfile.TemporaryDirectory(prefix="prompts-bench-") as name:
        folder = Path(name)
        try:
            with servers.localcloud(folder / "out", deployed=True) as (found, _):
                endpoints = json.loads((folder / "out" / "run" / "endpoints.json").read_text(encoding="utf-8"))
                place = Place(found, endpoints, folder)
                function = open_limits(servers.function(endpoints, "tts"))
                kept = hits(place, function, runs, options.seconds)
                kept &= misses(place, function, runs)
                compared(place, function, runs)
        except (servers.NotStarted, load.Failed) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
    return 0 if kept else 1
