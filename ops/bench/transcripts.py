"""Transcripts beside the recogniser itself: what a recording takes over its time, and what it asks of OSS.

1. 100 short recordings uploaded at once: from the first upload until the last transcript lies in its place.
2. Overhead: an event given to one warm instance, until its transcript is published, beside the time in which the speech
   service was at it, taken in the same run by a relay between the two. localcloud's answers come quickly, so each is
   held back until it is about as slow as the service: pieces of a minute's recording a fifth of their length, flash
   recognition a hundred-and-eightieth (half an hour in ten seconds, as it is sold). Targets: at most 10 % over it for
   60 seconds, 3 % for 10 minutes.
3. Requests to OSS for one recording by mode, counted by localcloud.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
import uuid
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ops.bench import load, servers
from ops.bench.leases import begin, command
from ops.deploy import STAGE

RUNS, AT_ONCE = 5, 100
PIECE_SECONDS, FLASH_SECONDS = 3.0, 600 / 180
SHORT_TARGET, LONG_TARGET = 0.10, 0.03
RATE_HZ = 16000
PIECES = 4  # of a minute, side by side
WAIT_SECONDS = 120.0
_DELAYS = {"nls.asr.rest": PIECE_SECONDS, "nls.flash": FLASH_SECONDS}


@dataclass(frozen=True, slots=True)
class Place:
    """A running localcloud, and what a bench needs of it."""

    found: Mapping[str, Any]
    endpoints: Mapping[str, Any]

    def counters(self) -> Counter[str]:
        """Localcloud's counters."""
        with urlopen(self.endpoints["admin"] + "/counters", timeout=10) as answer:  # noqa: S310 - loopback
            return Counter(json.load(answer))

    def slow_down(self, is_slow: bool) -> None:
        """Make the recogniser as slow as the service, or instant again."""
        self._admin("DELETE", {})
        for operation, seconds in _DELAYS.items() if is_slow else ():
            fault = {"operation": operation, "action": "delay", "seconds": seconds, "times": 1_000_000}
            self._admin("POST", fault)

    def _admin(self, method: str, document: Mapping[str, Any]) -> None:
        asked = Request(self.endpoints["admin"] + "/faults", json.dumps(document).encode(), method=method)  # noqa: S310
        asked.add_header("Content-Type", "application/json")
        with urlopen(asked, timeout=10):  # noqa: S310 - loopback
            pass

    def bucket(self, kind: str) -> Any:
        """One of the buckets."""
        import oss2

        keys, oss = self.found["credentials"], self.found["oss"]
        auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
        return oss2.Bucket(auth, oss["endpoint"], oss["buckets"][kind], region=oss["region"])

    def rule(self, prefix: str, mode: str) -> None:
        """Let what the tenant uploads under a prefix go by a mode."""
        state = self.bucket("state")
        document = json.loads(state.get_object("config/tenants.json").read())
        for tenant in document["tenants"]:
            tenant["sources"] = [*tenant.get("sources", []), {"prefix": prefix, "mode": mode}]
        state.put_object("config/tenants.json", json.dumps(document).encode())

    def without_triggers(self) -> None:
        """Let uploads cause no events any more: from now on the bench makes them itself."""
        from alibabacloud_fc20230330 import models
        from alibabacloud_fc20230330.client import Client
        from alibabacloud_tea_openapi.utils_models import Config

        key = {
            "access_key_id": self.endpoints["access_key_id"],
            "access_key_secret": self.endpoints["access_key_secret"],
        }
        client = Client(Config(endpoint=self.endpoints["fc"].removeprefix("http://"), protocol="http", **key))
        name = f"speech-asr-{STAGE}"
        for trigger in client.list_triggers(name, models.ListTriggersRequest()).body.triggers:
            if trigger.trigger_type in ("oss", "timer"):
                client.delete_trigger(name, trigger.trigger_name)


class Speech:
    """The speech service, asked without anything in between."""

    def __init__(self, place: Place) -> None:
        gateway = http.client.HTTPConnection(urlsplit(place.endpoints["gateway"]).netloc, timeout=30)
        gateway.request("POST", "/v1/token", b"", {"x-api-key": place.found["tenant"]["api_key"]})
        self._token = json.load(gateway.getresponse())["token"]
        gateway.close()
        self._netloc = urlsplit(place.endpoints["nls_rest"]).netloc
        self._appkey = place.endpoints["appkey"]

    def says(self, text: str) -> bytes:
        """Mono s16le samples at `RATE_HZ`."""
        wish = {"appkey": self._appkey, "text": text, "format": "pcm", "sample_rate": RATE_HZ, "voice": "xiaoyun"}
        return self._ask("/stream/v1/tts", json.dumps(wish).encode(), "application/json")

    def _ask(self, path: str, body: bytes, kind: str = "application/octet-stream") -> bytes:
        service = http.client.HTTPConnection(self._netloc, timeout=60)
        service.request("POST", path, body, {"X-NLS-Token": self._token, "Content-Type": kind})
        answer = service.getresponse()
        content = answer.read()
        service.close()
        if answer.status != 200:
            raise load.Failed(f"the speech service: {answer.status} {content[:300]!r}")
        return content


class Relay:
    """Stands between an instance and the speech service, and takes the time.

    Attributes
    ----------
    url
        Of the speech service, as the instance is to reach it.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._to = (target.hostname or "127.0.0.1", target.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}{target.path}"
        self._first = self._last = 0.0
        threading.Thread(target=self._serve, daemon=True).start()

    def begin(self) -> None:
        """Forget what was."""
        self._first = self._last = 0.0

    def busy_ms(self) -> float:
        """From the first byte of a request until the last of an answer, since `begin`."""
        return (self._last - self._first) * 1000

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                asking, _ = self._listening.accept()
                answering = socket.create_connection(self._to)
                for each in (asking, answering):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(asking, answering, self._asked), daemon=True).start()
                threading.Thread(target=self._pump, args=(answering, asking, self._answered), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, passed: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                passed()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _asked(self) -> None:
        self._first = self._first or time.perf_counter()

    def _answered(self) -> None:
        self._last = time.perf_counter()


class Instance:
    """One warm instance of the function, given events as the platform gives them."""

    def __init__(self, place: Place, port: int, function: servers.Function) -> None:
        self._place, self._function = place, function
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
        self._recordings = place.bucket("recordings")

    def upload(self, prefix: str, data: bytes) -> tuple[str, bytes]:
        """Upload a recording; its key and its event."""
        key = f"in/{self._place.found['tenant']['id']}/{prefix}{uuid.uuid4()}.wav"
        etag = self._recordings.put_object(key, data).etag
        described = {
            "key": key,
            "eTag": etag,
            "size": len(data),
            "objectMeta": {"mimeType": "audio/wav", "userMeta": {}},
        }
        record = {
            "eventName": "ObjectCreated:PutObject", "eventSource": "acs:oss", "eventVersion": "1.0",
            "oss": {"bucket": {"name": self._recordings.bucket_name}, "object": described},
        }  # fmt: skip
        return key, json.dumps({"events": [record]}).encode()

    def take(self, event: bytes) -> str:
        """Deliver an event; what became of its recording."""
        headers = {
            **self._function.headers, "x-fc-control-path": "/invoke", "x-fc-function-timeout": "600",
            "x-fc-request-id": str(uuid.uuid4()),
        }  # fmt: skip
        self._connection.request("POST", "/", event, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise load.Failed(f"the function: {answer.status} {content[:300]!r}")
        return str(json.loads(content)["jobs"][0]["outcome"])

    def is_published(self, key: str) -> bool:
        """Whether its transcript lies in its place."""
        return bool(self._recordings.object_exists(output_of(key)))


def output_of(key: str) -> str:
    """Where the transcript of a recording lies."""
    return f"transcripts/{key.removeprefix('in/')}.json"


def spoken(speech: Speech, seconds: float, texts: int) -> bytes:
    """So many seconds of texts and pauses: mono s16le."""
    size = 2 * RATE_HZ
    words = [speech.says(f"This is sentence {number} of a call.") for number in range(texts)]
    each = int(seconds / texts * RATE_HZ) * 2
    short = next((word for word in words if len(word) > each - size // 4), None)
    if short is not None:
        raise load.Failed(f"a sentence takes {len(short) / size:.1f} s of {seconds / texts:.1f} s")
    return b"".join(word.ljust(each, b"\0") for word in words)


def as_file(pcm: bytes) -> bytes:
    """A WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes(pcm)
    return file.getvalue()


def rush(place: Place, speech: Speech, runs: int) -> None:
    """Measure and print many short recordings at once, through triggers and instances."""
    bucket, data = place.bucket("recordings"), as_file(spoken(speech, 4.0, 1))
    taken, first = load.Series(), load.Series()
    for number in range(runs + 1):
        folder = f"in/{place.found['tenant']['id']}/rush/{uuid.uuid4()}/"
        begun = time.perf_counter()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda at, to=folder: bucket.put_object(f"{to}{at:03d}.wav", data), range(AT_ONCE)))
        ended: list[float] = []
        while len(ended) < AT_ONCE:
            if time.perf_counter() - begun > WAIT_SECONDS:
                raise load.Failed(f"{len(ended)} of {AT_ONCE} recordings have a transcript after {WAIT_SECONDS:.0f} s")
            count = sum(
                each.endswith(".wav.json") and "/g1/" not in each for each in _below(bucket, output_of(folder)[:-5])
            )
            ended += [time.perf_counter() - begun] * (count - len(ended))
            time.sleep(0.05)
        if number:  # the first one starts the instances
            taken.values.append(ended[-1])
            first.values.append(statistics.median(ended))
    print(f"1. {AT_ONCE} recordings of 4 s at once, s until they are published; median of {runs} runs (spread)")
    print(f"  the last {taken}\n  half     {first}")


def _below(bucket: Any, prefix: str) -> Iterator[str]:
    import oss2

    return (each.key for each in oss2.ObjectIterator(bucket, prefix=prefix, max_keys=1000))


def overheads(place: Place, speech: Speech, relay: Relay, instance: Instance, runs: int) -> bool:
    """Measure, print and judge what is added to the recogniser's own time."""
    cases = {
        "60 s, sentence": (SHORT_TARGET, "", as_file(spoken(speech, 59.6, PIECES))),
        "10 min, flash": (LONG_TARGET, "flash/", as_file(spoken(speech, 600, 120))),
    }
    figures = {name: (load.Series(), load.Series()) for name in cases}
    for _, prefix, data in cases.values():  # warm
        _worked(relay, instance, prefix, data)
    place.slow_down(True)
    for number in range(runs):
        for name in cases if number % 2 == 0 else reversed(cases):
            taken, own = _worked(relay, instance, *cases[name][1:])
            figures[name][0].values.append(taken)
            figures[name][1].values.append(own)
    place.slow_down(False)
    print(f"2. from an event to the published transcript, ms; median of {runs} interleaved runs (spread)")
    all_kept = True
    for name, (target, *_) in cases.items():
        taken_ms, own_ms = figures[name]
        over = load.Series([one - other for one, other in zip(taken_ms.values, own_ms.values, strict=True)])
        share = over.median / own_ms.median
        all_kept &= share <= target
        print(f"  {name:15} all {taken_ms}   the recogniser in it {own_ms}   over it {over}")
        print(f"  {'':15} {share:.1%}   target: at most {target:.0%}: {'kept' if share <= target else 'MISSED'}")
    return all_kept


def _worked(relay: Relay, instance: Instance, prefix: str, data: bytes) -> tuple[float, float]:
    """The time for one recording, and the recogniser's in it."""
    key, event = instance.upload(prefix, data)
    relay.begin()
    begun = time.perf_counter()
    outcome = instance.take(event)
    taken = (time.perf_counter() - begun) * 1000
    if outcome != "ended" or not instance.is_published(key):
        raise load.Failed(f"{key} is {outcome}")
    return taken, relay.busy_ms()


def requests(place: Place, speech: Speech, instance: Instance) -> None:
    """Count and print requests to OSS by mode."""
    short, long = as_file(spoken(speech, 4.0, 1)), as_file(spoken(speech, 70.0, 10))
    print("3. requests to OSS for one recording, with those of the speech service's callback")
    for mode, prefix, data in (
        ("sentence", "", short), ("flash", "flash/", long), ("file", "file/", long), ("quarantined", "", b"no sound"),
    ):  # fmt: skip
        _counted(place, instance, prefix, data)  # whatever an instance asks only once
        counts = _counted(place, instance, prefix, data)
        told = ", ".join(f"{count} {name.removeprefix('oss.')}" for name, count in sorted(counts.items()))
        print(f"  {mode:12} {counts.total():3}   {told}")


def _counted(place: Place, instance: Instance, prefix: str, data: bytes) -> Counter[str]:
    key, event = instance.upload(prefix, data)
    before = place.counters()
    asked = 0
    if instance.take(event) != "ended":
        give_up = time.monotonic() + WAIT_SECONDS
        while not instance.is_published(key):
            asked += 1
            if time.monotonic() > give_up:
                raise load.Failed(f"{key} has no transcript")
            time.sleep(0.2)
        asked += 1
        time.sleep(0.5)  # marks are taken away after the files are there
    counts = Counter(
        {
            name: count
            for name, count in (place.counters() - before).items()
            if name.startswith("oss.") and "." not in name[4:]
        }
    )
    counts["oss.HeadObject"] -= asked
    return +counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all targets are kept, 1 when one is missed, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="scripts/bench transcripts", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="interleaved runs (default %(default)s)")
    parser.add_argument("--rushes", type=int, default=3, help="runs of the first part (default %(default)s)")
    options = parser.parse_args(arguments)
    runs, busy = max(options.runs, 1), os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {busy:.1f}" + (": busy, so figures are high" if busy > 1 else ""))
    with tempfile.TemporaryDirectory(prefix="transcripts-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        try:
            found, _ = stack.enter_context(servers.localcloud(folder / "out", deployed=True))
            endpoints = json.loads((folder / "out" / "run" / "endpoints.json").read_text(encoding="utf-8"))
            place = Place(found, endpoints)
            place.rule("flash/", "flash")
            place.rule("file/", "file")
            speech = Speech(place)
            if options.rushes > 0:
                rush(place, speech, options.rushes)
            place.without_triggers()
            function = servers.function(endpoints, "asr")
            port, log = servers.free_port(), folder / "asr.log"
            relay = Relay(endpoints["nls_rest"])
            stack.callback(relay.close)
            environment = {**function.environment, "ISI_NLS_REST": relay.url}
            stack.enter_context(servers.serving(command(function.module), environment, log, port))
            begin(port, log, function)
            instance = Instance(place, port, function)
            kept = overheads(place, speech, relay, instance, runs)
            requests(place, speech, instance)
        except (servers.NotStarted, load.Failed) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
    return 0 if kept else 1
