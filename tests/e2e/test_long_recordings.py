"""Recordings that take too long to wait for: handed over to file recognition, finished by its callback or the timer."""

from __future__ import annotations

import audioop
import json
import time
import uuid
import wave
from pathlib import Path
from typing import Any

import oss2
import pytest
import requests

from ops.demo import lease
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")
RATE_HZ = 8000
LONG_SECONDS = 65
SAID = ("Please block my credit card.", "Thank you for your help.")


def bucket(local: Local, kind: str = "recordings") -> Any:
    keys, oss = local.config["credentials"], local.config["oss"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
    return oss2.Bucket(auth, oss["endpoint"], oss["buckets"][kind], region=oss["region"])


@pytest.fixture(scope="module")
def call(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A telephone call of over a minute: each side says one sentence."""
    granted = local.post("/v1/token", json={"sample_rate_hz": 16000}).json()
    sides = []
    for at, words in enumerate(SAID):
        spoken, _ = audioop.ratecv(lease.speak(granted, words), 2, 1, lease.RATE_HZ, RATE_HZ, None)
        before = bytes(2 * RATE_HZ * (2 + 10 * at))
        sides.append((before + spoken).ljust(2 * RATE_HZ * LONG_SECONDS, b"\0"))
    left, right = (audioop.tostereo(side, 2, *on) for side, on in zip(sides, ((1, 0), (0, 1)), strict=True))
    path = tmp_path_factory.mktemp("audio") / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(audioop.add(left, right, 2))
    return path


def job_of(local: Local, key: str) -> dict[str, Any]:
    query = {"bucket": local.config["oss"]["buckets"]["recordings"], "key": key}
    jobs = local.get("/v1/jobs", params=query).json()["jobs"]
    return dict(jobs[-1]) if jobs else {"state": ""}


def awaited(local: Local, key: str, state: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (job := job_of(local, key))["state"] != state:
        assert time.monotonic() < deadline, job
        assert job["state"] not in ("failed", "quarantined", "skipped"), job
        time.sleep(0.1)
    return job


def assert_transcribed(local: Local, job: dict[str, Any]) -> None:
    told = json.loads(bucket(local).get_object(job["outputs"]["json"]).read())
    assert (told["mode"], told["layout"], told["sample_rate_hz"]) == ("file", "two_sides", RATE_HZ)
    assert [(turn["channel"], turn["text"]) for turn in told["turns"]] == list(enumerate(SAID))
    assert all(turn["words"] for turn in told["turns"])
    assert list(oss2.ObjectIterator(bucket(local, "state"), prefix=f"work/{job['id']}")) == []


def test_a_long_call_is_transcribed_when_file_recognition_calls_back(local: Local, call: Path) -> None:
    key = f"in/demo/{uuid.uuid4()}/long call 录音.wav"
    before = local.counters()
    bucket(local).put_object_from_file(key, str(call))
    assert_transcribed(local, awaited(local, key, "done"))
    after = local.counters()
    assert after["filetrans.recognition"] - before.get("filetrans.recognition", 0) == 1
    assert after["filetrans.callback.sent"] - before.get("filetrans.callback.sent", 0) == 1
    assert after.get("nls.recognition", 0) == before.get("nls.recognition", 0)


def test_a_long_call_is_transcribed_by_the_timer_when_the_callback_is_lost(local: Local, call: Path) -> None:
    key = f"in/demo/{uuid.uuid4()}/long.wav"
    requests.post(
        local.config["admin"] + "/faults", json={"operation": "filetrans.callback", "action": "drop"}, timeout=10
    ).raise_for_status()
    before = local.counters()
    bucket(local).put_object_from_file(key, str(call))
    job = awaited(local, key, "submitted")
    assert job["expected_by"] is not None
    deadline = time.monotonic() + 60
    while local.counters().get("filetrans.recognition", 0) == before.get("filetrans.recognition", 0):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    fired = {"function": "speech-asr-local", "trigger": "open-jobs"}
    requests.post(local.config["admin"] + "/timers", json=fired, timeout=10).raise_for_status()
    assert_transcribed(local, awaited(local, key, "done"))
    assert local.counters().get("filetrans.callback.sent", 0) == before.get("filetrans.callback.sent", 0)


@pytest.mark.parametrize("proof", ["1." + "0" * 64, "x"])
def test_a_forged_callback_is_refused_at_the_gateway_s_door(local: Local, proof: str) -> None:
    path = f"/v1/callbacks/filetrans/{'0' * 64}/1/1/4000000000/{proof}"
    answer = requests.post(local.config["gateway"] + path, json={"TaskId": "x" * 32}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (403, "callback.refused")
