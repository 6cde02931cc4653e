"""A recording whose event is lost for ever, and an operator who wants a job done anew."""

from __future__ import annotations

import subprocess
import time
import uuid
from typing import Any

import oss2
import pytest
import requests

from functions.transcripts.sweep_lost import YOUNG_SECONDS
from isikit.audio import wav
from ops.demo import lease
from support.local_cloud import ROOT, Local
from support.thawing import Thawing

pytestmark = pytest.mark.xdist_group("thaw")
SAID = "Please block my credit card."


def bucket(local: Local) -> Any:
    keys, oss = local.config["credentials"], local.config["oss"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
    return oss2.Bucket(auth, oss["endpoint"], oss["buckets"]["recordings"], region=oss["region"])


def jobs_of(local: Local, key: str) -> list[dict[str, Any]]:
    query = {"bucket": local.config["oss"]["buckets"]["recordings"], "key": key}
    return list(local.get("/v1/jobs", params=query).json()["jobs"])


def awaited(local: Local, key: str, generations: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while True:
        jobs = jobs_of(local, key)
        if [job["state"] for job in jobs] == ["done"] * generations:
            return jobs
        assert time.monotonic() < deadline, jobs
        time.sleep(0.1)


def tick(local: Local) -> None:
    fired = {"function": "speech-asr-local", "trigger": "open-jobs"}
    requests.post(local.config["admin"] + "/timers", json=fired, timeout=10).raise_for_status()


def replayed(local: Local, *options: str) -> str:
    command = ["scripts/replay", "--local", str(local.out / "local.json"), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_recording_whose_event_is_lost_for_ever_is_found_by_the_timer_and_can_be_replayed(
    thawing_cloud: Thawing,
) -> None:
    local = thawing_cloud.local
    granted = local.post("/v1/token", json={"sample_rate_hz": 16000}).json()
    folder = f"in/demo/{uuid.uuid4()}/"
    key = f"{folder}call 录音.wav"
    before = local.counters()
    thawing_cloud.arm(operation="fc.async", action="lose")
    try:
        bucket(local).put_object(key, wav.write(lease.speak(granted, SAID), lease.RATE_HZ))
        deadline = time.monotonic() + 20
        while local.counters().get("fc.async", 0) == before.get("fc.async", 0):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        thawing_cloud.disarm()
    tick(local)
    assert jobs_of(local, key) == []  # too young: its event might still come

    thawing_cloud.advance(YOUNG_SECONDS + 60)
    tick(local)
    (job,) = awaited(local, key, 1)
    assert bucket(local).get_object(job["outputs"]["txt"]).read().decode() == f"{SAID}\n"

    plan = str(local.out.parent / f"{uuid.uuid4()}.plan")
    told = ["--prefix", folder, "--state", "done", "--plan", plan]
    assert "1 would be done anew" in replayed(local, *told)
    assert "1 of 1 sent" in replayed(local, "--plan", plan, "--yes")
    first, second = awaited(local, key, 2)
    assert (first["generation"], second["generation"]) == (1, 2)
    for each in (first, second):
        assert bucket(local).get_object(each["outputs"]["txt"]).read().decode() == f"{SAID}\n"
    assert replayed(local, "--plan", plan, "--yes") == ""  # all of it was sent
