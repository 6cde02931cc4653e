"""A rush through the gateway on deployed instances, by localcloud's own counters."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import oss2
import pytest
import requests

from functions.prompts.rush import CLAIM_SECONDS
from ops.bench import rush
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")


def test_200_requests_for_one_new_prompt_cost_one_synthesis_and_get_one_url(local: Local) -> None:
    body = {"text": f"Your code is {uuid.uuid4().hex[:8]}.", "retention": "permanent", "wait_ms": 25_000}
    before = local.counters().get("nls.synthesis", 0)
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: local.post("/v1/prompts", json=body), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    (url,) = {answer.json()["url"] for answer in answers}
    assert local.counters()["nls.synthesis"] == before + 1
    assert sum(answer.json()["billed"]["calls"] for answer in answers) == 1
    assert requests.get(url, timeout=10).headers["Content-Type"] == "audio/wav"


def test_many_different_prompts_at_once_share_a_small_quota_and_nobody_sees_an_error(local: Local) -> None:
    try:
        result = rush.rush(local.config, rush.Load(prompts=80, callers=60, quota=3, service_ms=40))
    finally:
        requests.delete(local.config["admin"] + "/faults", timeout=10)
        requests.post(local.config["admin"] + "/quotas", json={"tts": 200}, timeout=10)
    assert result.answers == {(200, "ready"): 80}
    assert (result.urls, result.spoken) == (80, 80)


@dataclass
class Rush:
    """120 callers of one new prompt, more than two instances take, while its owner waits for the speech service."""

    local: Local
    body: dict[str, object]
    calls_before: int
    answers: list[Future[requests.Response]]
    owner: dict[str, Any]

    def speech_calls(self) -> int:
        return self.local.counters()["nls.tts.rest"] - self.calls_before

    def end_the_claim(self) -> float:
        requests.post(
            self.local.config["admin"] + "/clock", json={"advance_seconds": CLAIM_SECONDS + 1}, timeout=10
        ).raise_for_status()
        return time.monotonic()


@contextmanager
def under_way(local: Local) -> Iterator[Rush]:
    state = bucket(local, "state")
    known = {found.key for found in oss2.ObjectIterator(state, prefix="claims/demo/")}
    code = uuid.uuid4().hex[:8]
    body = {"text": f"Your code is {code}.", "retention": "permanent", "wait_ms": 25_000}
    admin = local.config["admin"]
    slow = {"operation": "nls.tts.rest", "action": "delay", "seconds": 3, "subject": code}
    requests.post(admin + "/faults", json=slow, timeout=10).raise_for_status()
    before = local.counters().get("nls.tts.rest", 0)
    try:
        with ThreadPoolExecutor(120) as pool:
            answers = [pool.submit(local.post, "/v1/prompts", json=body) for _ in range(120)]
            until(lambda: local.counters().get("nls.tts.rest", 0) == before + 1)
            claims = (found.key for found in oss2.ObjectIterator(state, prefix="claims/demo/"))
            (journal,) = (key for key in claims if key not in known)
            claimed = json.loads(state.get_object(journal).read().splitlines()[0])["claim"]
            instances = requests.get(admin + "/instances", timeout=10).json()
            (owner,) = (one for one in instances if claimed.startswith(one["instance_id"]))
            until(lambda: sum(one["in_flight"] for one in requests.get(admin + "/instances", timeout=10).json()) == 120)
            yield Rush(local, body, before, answers, owner)
    finally:
        requests.delete(admin + "/faults", timeout=10)


def bucket(local: Local, kind: str) -> oss2.Bucket:
    keys, oss = local.config["credentials"], local.config["oss"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
    return oss2.Bucket(auth, oss["endpoint"], oss["buckets"][kind], region=oss["region"])


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_when_the_owners_process_is_killed_half_way_one_more_is_spoken_within_one_claim(local: Local) -> None:
    with under_way(local) as rush_:
        os.kill(rush_.owner["pid"], signal.SIGKILL)
        ended_at = rush_.end_the_claim()
        answers = [answer.result() for answer in rush_.answers]
    assert time.monotonic() - ended_at < CLAIM_SECONDS  # the claim's end was all they waited for
    alive = [answer for answer in answers if answer.status_code == 200]
    assert 80 <= len(alive) < 120  # what the dead instance held the platform refuses
    (url,) = {answer.json()["url"] for answer in alive}
    assert rush_.speech_calls() == 2
    assert local.post("/v1/prompts", json=rush_.body).json()["cache"] == "hit"
    assert requests.get(url, timeout=10).headers["Content-Type"] == "audio/wav"


def test_an_owner_that_froze_over_the_end_of_its_claim_gives_the_url_of_who_took_over(local: Local) -> None:
    with under_way(local) as rush_:
        os.kill(rush_.owner["pid"], signal.SIGSTOP)
        try:
            rush_.end_the_claim()
            until(lambda: sum(answer.done() for answer in rush_.answers) >= 80)
            (url,) = {answer.result().json()["url"] for answer in rush_.answers if answer.done()}
            audio = requests.get(url, timeout=10).content
        finally:
            os.kill(rush_.owner["pid"], signal.SIGCONT)
        answers = [answer.result() for answer in rush_.answers]
    assert {(answer.status_code, answer.json()["url"]) for answer in answers} == {(200, url)}
    assert rush_.speech_calls() == 2
    assert requests.get(url, timeout=10).content == audio
