"""A rush of different prompts on a deployed localcloud: many callers at once, many instances, one small quota.

Every caller asks for prompts that nobody asked for before. The account's quota of syntheses at once is smaller than
what the instances would take, and each synthesis lasts `--service-ms`, so that the least time is prompts x that /
quota. Judged: no caller sees an error, and the service refuses at most 2 % of the starts, by localcloud's counters.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_fc20230330 import models

from ops.bench import servers
from ops.deploy import STAGE
from ops.functions import ALIAS

PROMPTS, INSTANCES, QUOTA, SERVICE_MS = 1000, 8, 20, 1200
CALLERS_AN_INSTANCE = 12
"""Set as `instanceConcurrency`, so that few callers are enough for eight instances: with s.yaml's 40 they would wait
their 25 s for the quota, not for us."""
MOST_REFUSED = 0.02
_WAIT_MS = 25_000


@dataclass(frozen=True, slots=True)
class Load:
    """A rush: `prompts` different ones from `callers` at once; `quota` syntheses at once of `service_ms` each."""

    prompts: int
    callers: int
    quota: int
    service_ms: int

    @property
    def ideal_seconds(self) -> float:
        """When the quota is in use all the time."""
        return self.prompts * self.service_ms / 1000 / self.quota


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `answers` counts (HTTP status, the answer's `status` or `code`)."""

    seconds: float
    answers: Counter[tuple[int, str]]
    waits: list[float]
    urls: int
    instances: int
    starts: int
    refused: int
    spoken: int
    most_at_once: int

    @property
    def refused_share(self) -> float:
        """Of the starts."""
        return self.refused / self.starts if self.starts else 0.0


def rush(config: Mapping[str, Any], load: Load) -> Result:
    """Set quota and pace of a running localcloud (`local.json`), and let everybody ask at once."""
    _tell(config, "/quotas", {"tts": load.quota})
    slow = {"operation": "nls.tts.rest", "rate": 1, "action": "delay", "seconds": load.service_ms / 1000}
    _tell(config, "/faults", slow)
    before = Counter(_tell(config, "/counters"))
    name, begun_at = uuid.uuid4().hex[:8], time.perf_counter()
    with ThreadPoolExecutor(load.callers) as callers:
        answers = list(callers.map(lambda number: _ask(config, f"{name} {number}."), range(load.prompts)))
    seconds = time.perf_counter() - begun_at
    after = _tell(config, "/counters")
    instances = sum(instance["function"].startswith("speech-tts") for instance in _tell(config, "/instances"))
    return Result(
        seconds=seconds,
        answers=Counter((status, told) for status, told, _, _ in answers),
        waits=sorted(wait for _, _, _, wait in answers),
        urls=len({url for _, _, url, _ in answers if url}),
        instances=instances,
        starts=after["nls.tts.rest"] - before["nls.tts.rest"],
        refused=after.get("nls.refused", 0) - before["nls.refused"],
        spoken=after["nls.synthesis"] - before["nls.synthesis"],
        most_at_once=after["nls.peak.tts"],
    )


def spread(endpoints: Mapping[str, Any], callers: int) -> None:
    """Deploy `tts` once more, with room for so many callers in an instance.

    Parameters
    ----------
    endpoints
        `run/endpoints.json` of a running localcloud.
    """
    client, name = servers.control(endpoints), f"speech-tts-{STAGE}"
    changed = models.UpdateFunctionInput(instance_concurrency=callers)
    client.update_function(name, models.UpdateFunctionRequest(body=changed))
    published = models.PublishFunctionVersionRequest(body=models.PublishVersionInput())
    version = client.publish_function_version(name, published).body.version_id
    moved = models.UpdateAliasInput(version_id=version)
    client.update_alias(name, ALIAS, models.UpdateAliasRequest(body=moved))


def _ask(config: Mapping[str, Any], text: str) -> tuple[int, str, str, float]:
    """(HTTP status, status or code, URL, seconds)."""
    body = json.dumps({"text": text, "retention": "permanent", "consumer": "freeswitch", "wait_ms": _WAIT_MS})
    headers = {"X-Api-Key": config["tenant"]["api_key"], "Content-Type": "application/json"}
    begun_at = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(config["gateway"]).netloc, timeout=60)
    try:
        connection.request("POST", "/v1/prompts", body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        state, url = told.get("status"), told.get("url", "")
        return answer.status, str(told.get("code", state)), url, time.perf_counter() - begun_at
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, type(error).__name__, "", time.perf_counter() - begun_at
    finally:
        connection.close()


def _tell(config: Mapping[str, Any], path: str, settings: Mapping[str, Any] | None = None) -> Any:
    """Of or to the operator's door."""
    data = None if settings is None else json.dumps(settings).encode()
    with urllib.request.urlopen(config["admin"] + path, data, timeout=10) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def report(load: Load, result: Result) -> bool:
    """Print what came of it; whether it is as it must be."""
    print(f"{load.prompts} different new prompts, {load.callers} callers at once, {result.instances} instances,")
    print(f"a quota of {load.quota} syntheses at once, {load.service_ms} ms each")
    ratio = result.seconds / load.ideal_seconds
    print(f"  time {result.seconds:.1f} s, ideal {load.ideal_seconds:.1f} s: {ratio:.2f} times")
    middle, last = statistics.median(result.waits), result.waits[-1]
    print(f"  a caller waits {middle:.1f} s (median), {last:.1f} s at most; at work at once: {result.most_at_once}")
    is_answered = set(result.answers) == {(200, "ready")} and result.urls == load.prompts
    answers = ", ".join(f"{count} x {status} {told}" for (status, told), count in sorted(result.answers.items()))
    print(f"  target: every caller gets audio of its own: {'kept' if is_answered else 'MISSED'} ({answers})")
    is_polite = result.refused_share <= MOST_REFUSED
    share = f"{result.refused} of {result.starts}, {result.refused_share:.2%}"
    print(f"  target: at most {MOST_REFUSED:.0%} of starts refused: {'kept' if is_polite else 'MISSED'} ({share})")
    is_once = result.spoken == load.prompts
    print(f"  target: each is spoken once: {'kept' if is_once else 'MISSED'} ({result.spoken} syntheses)")
    return is_answered and is_polite and is_once


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all targets are kept, 1 when one is missed, 2 when localcloud did not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench rush", description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="(default %(default)s)")
    parser.add_argument("--instances", type=int, default=INSTANCES, help="(default %(default)s)")
    parser.add_argument("--quota", type=int, default=QUOTA, help="syntheses at once (default %(default)s)")
    parser.add_argument("--service-ms", type=int, default=SERVICE_MS, help="of a synthesis (default %(default)s)")
    given = parser.parse_args(arguments)
    load = Load(given.prompts, CALLERS_AN_INSTANCE * given.instances, given.quota, given.service_ms)
    busy = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {busy:.1f}" + (": busy, so times are high" if busy > 1 else ""))
    with tempfile.TemporaryDirectory(prefix="rush-bench-") as folder:
        try:
            out = Path(folder) / "out"
            with servers.localcloud(out, deployed=True) as (config, _):
                spread(json.loads((out / "run" / "endpoints.json").read_text()), CALLERS_AN_INSTANCE)
                return 0 if report(load, rush(config, load)) else 1
        except servers.NotStarted as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
