"""A recording that lands in OSS becomes a transcript in OSS, and what is none is told and kept."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import oss2
import pytest

from ops.demo import lease, recording
from ops.demo.sound import silence, write_wav
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")
WORDS = ("Please block my credit card.", "Thank you for your help.")


def bucket(local: Local) -> Any:
    keys, oss = local.config["credentials"], local.config["oss"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
    return oss2.Bucket(auth, oss["endpoint"], oss["buckets"]["recordings"], region=oss["region"])


def ended(local: Local, key: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        jobs = local.get(
            "/v1/jobs", params={"bucket": local.config["oss"]["buckets"]["recordings"], "key": key}
        ).json()["jobs"]
        if jobs and jobs[-1]["state"] in ("failed", "quarantined", "skipped"):
            return dict(jobs[-1])
        if jobs and jobs[-1]["state"] == "done" and jobs[-1]["outputs"]:
            return dict(jobs[-1])
        time.sleep(0.1)
    raise AssertionError(f"no end: {jobs}")


def told_of(local: Local, place: str, etag: str) -> dict[str, Any]:
    """The transcript at a place, once it is of that version of the recording."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if bucket(local).object_exists(place):
            told: dict[str, Any] = json.loads(bucket(local).get_object(place).read())
            if told["etag"] == etag:
                return told
        time.sleep(0.1)
    raise AssertionError(f"no transcript of {etag}")


@pytest.fixture(scope="module")
def wav(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Path:
    granted = local.post("/v1/token").json()
    pause = silence(lease.RATE_HZ, 800)
    path = tmp_path_factory.mktemp("audio") / "call.wav"
    write_wav(path, pause + b"".join(lease.speak(granted, words) + pause for words in WORDS), lease.RATE_HZ)
    return path


@pytest.mark.parametrize("name", ["call.wav", "录音 1+2%20.wav", "deep/er/no-extension", "a/../line\nbreak.wav"])
def test_a_recording_becomes_four_files_with_the_words_spoken(
    local: Local, wav: Path, tmp_path: Path, name: str
) -> None:
    key = f"in/demo/{uuid.uuid4()}/{name}"
    recording.upload(local.config, wav, key)
    transcript = recording.await_transcript(local.config, key, tmp_path)
    assert recording.word_error_rate(" ".join(WORDS), transcript.text) == 0
    assert {file.suffix for file in transcript.files} == {".json", ".txt", ".srt", ".vtt"}
    told = json.loads(transcript.files[0].read_text())
    assert told["turns"][0]["start_ms"] < told["turns"][-1]["end_ms"] <= told["duration_ms"]
    assert transcript.files[2].read_text().startswith("1\n00:00:0")
    assert transcript.files[3].read_text().startswith("WEBVTT\n")


def test_the_job_is_found_by_id_and_by_call(local: Local, wav: Path) -> None:
    key, call_id = f"in/demo/{uuid.uuid4()}/a.wav", str(uuid.uuid4())
    bucket(local).put_object_from_file(key, str(wav), headers={"x-oss-meta-call-id": call_id})
    job = ended(local, key)
    assert local.get(f"/v1/jobs/{job['id']}").json()["jobs"] == [job]
    assert local.get("/v1/jobs", params={"call_id": call_id}).json()["jobs"] == [job]
    assert local.get("/v1/jobs", params={"call_id": "other"}).json() == {"jobs": []}


@pytest.mark.parametrize(
    "body", [b"", b"this is not audio" * 100, b"#EXTM3U\nhttp://127.0.0.1:1/x\n", b"RIFF\xff\xff\xff\xffWAVE"]
)
def test_what_is_not_audio_is_quarantined_with_a_report_and_nothing_is_paid(local: Local, body: bytes) -> None:
    key = f"in/demo/{uuid.uuid4()}/x.wav"
    before = local.counters().get("nls.recognition", 0)
    bucket(local).put_object(key, body)
    job = ended(local, key)
    assert (job["state"], bool(job["reason"])) == ("quarantined", True)
    kept = [found.key for found in oss2.ObjectIterator(bucket(local), prefix="quarantine/demo/" + key.split("/")[2])]
    assert any(name.endswith("x.wav") for name in kept)
    assert any("report" in name for name in kept)
    assert local.counters().get("nls.recognition", 0) == before


def test_a_transcript_comes_back_with_its_recording_and_is_not_paid_twice(local: Local, wav: Path) -> None:
    key, other = f"in/demo/{uuid.uuid4()}/a.wav", wav.with_name("short.wav")
    write_wav(other, silence(lease.RATE_HZ, 1000), lease.RATE_HZ)
    place = f"transcripts/{key.removeprefix('in/')}.json"
    etags = []
    for upload in (wav, other):
        etags.append(bucket(local).put_object_from_file(key, str(upload)).etag)
        told_of(local, place, etags[-1])
    before = local.counters().get("nls.recognition", 0)
    bucket(local).put_object_from_file(key, str(wav))
    assert told_of(local, place, etags[0])["generation"] == 2
    assert local.counters().get("nls.recognition", 0) == before


def test_an_upload_outside_in_makes_no_job(local: Local, wav: Path) -> None:
    bucket(local).put_object_from_file("elsewhere/a.wav", str(wav))
    query = {"bucket": local.config["oss"]["buckets"]["recordings"], "key": "elsewhere/a.wav"}
    assert local.get("/v1/jobs", params=query).json() == {"jobs": []}
