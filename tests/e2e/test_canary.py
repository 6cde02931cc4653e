"""Everything at DEBUG, in a deployed localcloud: what was asked, spoken, recognised and paid with is in no log."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import oss2
import pytest
import requests

from support import local_cloud
from support.canary import Canary, logs_below
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("canary")

SAID = "My number is one three eight, canary."


@pytest.fixture(scope="module")
def debugged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A localcloud whose functions log everything that any library says, at DEBUG, to careless handlers."""
    folder = tmp_path_factory.mktemp("debug")
    run = "import sys; sys.path.insert(0, 'tests'); from support.canary_deploy import main; main()"
    deploy = [sys.executable, "-c", run, str(folder), "local"]
    with local_cloud.running(folder / "out", deploy=deploy) as local:
        yield local


def test_at_debug_no_log_holds_a_key_a_token_a_signature_a_text_or_a_transcript(debugged: Local) -> None:
    canary = Canary()
    config = debugged.config
    canary.secret("API key", config["tenant"]["api_key"], config["tenant"]["api_key"].partition(".")[2])
    canary.secret("AccessKey", *config["credentials"].values())

    lease = debugged.post("/v1/token", json={"use": "tts"})
    assert lease.status_code == 200
    canary.secret("speech token", lease.json()["token"])
    assert debugged.post("/v1/token", headers={"X-Api-Key": "wrong.key-of-nobody-0123456789"}).status_code == 401
    canary.secret("API key", "key-of-nobody-0123456789")

    text, refused, ssml = (f"Dear Mr {uuid.uuid4().hex}, you owe us {word}." for word in ("little", "much", "all"))
    canary.text(text, refused, ssml)
    url = debugged.post("/v1/prompts", json={"text": text}).json()["url"]
    assert requests.get(url, timeout=10).status_code == 200
    assert debugged.post("/v1/prompts", json={"text": refused, "voice": "nobody"}).status_code == 400
    assert debugged.post("/v1/prompts", json={"ssml": f"<speak>{ssml}<nonsense/></speak>"}).status_code in {400, 422}
    with_fault = {"operation": "nls.tts.rest", "action": "error", "status": 500, "times": 100}
    assert requests.post(config["admin"] + "/faults", json=with_fault, timeout=10).status_code == 201
    assert debugged.post("/v1/prompts", json={"text": f"{text} Again.", "wait_ms": 4000}).status_code >= 500
    requests.delete(config["admin"] + "/faults", timeout=10)

    keys, oss = config["credentials"], config["oss"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
    bucket = oss2.Bucket(auth, oss["endpoint"], oss["buckets"]["recordings"], region=oss["region"])
    canary.text("Frau Kanarie 13800138000", SAID)
    spoken = debugged.post("/v1/prompts", json={"text": SAID}).json()["url"]
    bucket.put_object("in/demo/Frau Kanarie 13800138000.wav", requests.get(spoken, timeout=10).content)
    bucket.put_object("in/demo/Frau Kanarie 13800138000 broken.wav", b"no audio at all")
    deadline = time.monotonic() + 60
    while True:
        ended = [line for line in function_lines(debugged.out) if '"job.finished"' in line]
        if len(ended) >= 2:
            break
        assert time.monotonic() < deadline, ended
        time.sleep(0.05)
    transcript = json.loads(bucket.get_object("transcripts/demo/Frau Kanarie 13800138000.wav.json").read())
    turns = [turn["text"] for turn in transcript["turns"]]
    assert turns
    canary.text(*turns, kind="transcript")

    logged = "\n".join(path.read_text() for path in logs_below(debugged.out.parent))
    for library in ("urllib3", "oss2", "aliyunsdkcore"):
        assert f"DEBUG-CANARY {library}" in logged, f"{library} said nothing: nothing is proved"
    assert "fc-request-metrics" in {path.stem for path in logs_below(debugged.out)}
    assert canary.in_files(logs_below(debugged.out.parent)) == []


def function_lines(out: Path) -> list[str]:
    return [line for path in (out / "logs").glob("speech-*.jsonl") for line in path.read_text().splitlines()]
