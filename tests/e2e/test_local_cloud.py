"""localcloud as its operator sees it: starting, stopping, and being started wrongly."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest
import requests

from support import local_cloud
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")


def test_local_json_has_exactly_the_shape_that_is_promised(local: Local) -> None:
    shape = {
        name: sorted(value) if isinstance(value, dict) else type(value).__name__ for name, value in local.config.items()
    }
    assert shape == {
        "gateway": "str",
        "functions": ["asr", "token", "tts"],
        "fc": "str",
        "oss": ["buckets", "endpoint", "region"],
        "nls": ["appkey", "rest", "websocket"],
        "pop": "str",
        "sls": ["endpoint", "logstore", "project"],
        "credentials": ["access_key_id", "access_key_secret"],
        "tenant": ["api_key", "consumer_key", "id"],
        "admin": "str",
    }
    assert sorted(local.config["oss"]["buckets"]) == ["prompts", "recordings", "state"]
    assert local.config["oss"]["region"] == "cn-beijing"
    assert local.config["nls"]["websocket"].endswith("/ws/v1")
    urls = [value for value in json.dumps(local.config).split('"') if "://" in value]
    assert all(url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:")) for url in urls)


def test_it_is_reachable_as_localhost_too(local: Local) -> None:
    url = local.config["gateway"].replace("127.0.0.1", "localhost")
    assert requests.get(url + "/healthz", timeout=10).status_code == 200


def test_the_same_folder_twice_is_refused_with_advice(local: Local) -> None:
    second = local_cloud.start(local.out)
    assert second.wait(30) != 0
    assert "--out" in local.out.with_suffix(".log").read_text()
    assert local.get("/healthz").status_code == 200


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        base = taken.getsockname()[1] - 2
        process = local_cloud.start(tmp_path / "out", "--port-base", str(base))
        assert process.wait(30) != 0
    said = (tmp_path / "out.log").read_text()
    assert any(str(base + place) in said for place in range(3))  # a lower one may be somebody's on this machine
    assert "--port-base" in said
    assert "Traceback" not in said
    local_cloud.await_nothing_left(tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_no_process_and_no_local_json(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    process = local_cloud.start(out)
    try:
        local = local_cloud.wait_ready(process, out)
        local.post("/v1/prompts", json={"text": "Hello."})
    finally:
        code = local_cloud.stop(process, number)
    assert code in (0, 130, 143)
    assert not (out / "local.json").exists()
    local_cloud.await_nothing_left(out)
    assert "Traceback" not in out.with_suffix(".log").read_text()


def test_killing_it_outright_leaves_no_process_and_it_starts_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = local_cloud.start(out)
    try:
        local = local_cloud.wait_ready(process, out)
        url = local.post("/v1/prompts", json={"text": "Hello.", "retention": "permanent"}).json()["url"]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    local_cloud.await_nothing_left(out)
    (out / "local.json").unlink()
    with local_cloud.running(out) as again:
        asked = again.post("/v1/prompts", json={"text": "Hello.", "retention": "permanent"}).json()
        assert asked["cache"] == "hit"
        assert asked["url"].split("/p/")[1] == url.split("/p/")[1]


def test_interrupting_it_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = local_cloud.start(out)
    while not (out / "run/endpoints.json").exists():
        assert process.poll() is None, out.with_suffix(".log").read_text()
    local_cloud.stop(process, signal.SIGINT)
    local_cloud.await_nothing_left(out)
    assert not (out / "local.json").exists()


def test_no_text_token_or_key_reaches_any_log(local: Local) -> None:
    secret_words = "The canary sings at midnight."
    granted = local.post("/v1/token").json()
    prompt = local.post("/v1/prompts", json={"text": secret_words, "retention": "permanent"}).json()
    local.post("/v1/prompts", json={"text": secret_words, "voice": secret_words})
    local.post("/v1/prompts", data=secret_words.encode())
    requests.get(prompt["url"], timeout=10)
    local.get(f"/v1/jobs?call_id={secret_words}")
    logs = {path.name: path.read_text() for path in (local.out / "logs").glob("*.jsonl")}
    assert logs
    secrets = [
        secret_words,
        "canary",
        granted["token"],
        local.config["tenant"]["api_key"],
        local.config["credentials"]["access_key_secret"],
    ]
    for name, text in logs.items():
        for secret in secrets:
            assert secret not in text, name


def test_every_line_of_the_functions_is_json_or_the_platforms_framing(local: Local) -> None:
    local.post("/v1/prompts", json={"text": "Hello."})
    for path in (local.out / "logs").glob("speech-*.jsonl"):
        for line in path.read_text().splitlines():
            assert line.startswith("FC ") or json.loads(line)["event"], line
