"""`python -m localcloud` as a process: start, announce, stop, and leave nothing behind however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.local_cloud import await_nothing_left

ROOT = Path(__file__).parents[3]
PROBE = [sys.executable, str(ROOT / "tests" / "support" / "deploy_probe.py")]


class Runs:
    """Processes of one test."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *deploy: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "localcloud", "--out", str(self.out), *options]
        if deploy:
            command += ["--deploy", *deploy]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def ready(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """Wait for local.json."""
        self.until(lambda: (self.out / "local.json").exists(), process)
        found: dict[str, Any] = json.loads((self.out / "local.json").read_text())
        return found

    @staticmethod
    def until(check: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def wait(self, process: subprocess.Popen[str], seconds: float = 15) -> tuple[int, str]:
        """The exit status and everything it said."""
        said, _ = process.communicate(timeout=seconds)
        return process.returncode, said


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path / "out")
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def test_it_deploys_announces_last_and_stops_in_good_order(runs: Runs) -> None:
    process = runs.start(*PROBE)
    local = runs.ready(process)
    assert set(local) == {
        *("gateway", "functions", "fc", "oss", "nls", "pop", "sls", "credentials", "tenant", "admin"),
    }
    assert set(local["functions"]) == {"token", "tts", "asr"}
    assert set(local["oss"]) == {"endpoint", "region", "buckets"}
    assert set(local["oss"]["buckets"]) == {"prompts", "recordings", "state"}
    assert set(local["nls"]) == {"websocket", "rest", "appkey"}
    assert set(local["sls"]) == {"endpoint", "project", "logstore"}
    assert local["tenant"] == {"id": "demo", "api_key": "id.secret"}
    assert local["nls"]["websocket"].endswith("/ws/v1")
    assert get(local["gateway"] + "/v1/token")["target"] == "/v1/token"
    assert get(local["gateway"].replace("127.0.0.1", "localhost") + "/p/x")["target"] == "/p/x"
    instances = get(local["admin"] + "/instances")
    assert {instance["function"] for instance in instances} == {f"speech-{name}-test" for name in local["functions"]}
    process.send_signal(signal.SIGTERM)
    status, said = runs.wait(process, 10)
    assert status == 0
    assert "Traceback" not in said
    assert said.count("localcloud is up") == 1
    assert "id.secret" not in said
    assert not (runs.out / "local.json").exists()
    assert not (runs.out / "run" / "endpoints.json").exists()
    await_nothing_left(runs.out)


def test_ctrl_c_leaves_no_traceback_and_no_process(runs: Runs) -> None:
    process = runs.start()
    runs.until(lambda: (runs.out / "run" / "endpoints.json").exists(), process)
    process.send_signal(signal.SIGINT)
    status, said = runs.wait(process, 10)
    assert "Traceback" not in said
    assert status in (0, 130), "before or after it was up"
    await_nothing_left(runs.out)


def test_kill_9_leaves_no_instance_and_the_directory_can_be_used_again(runs: Runs) -> None:
    process = runs.start(*PROBE)
    local = runs.ready(process)
    get(local["functions"]["tts"] + "/child")  # a process of an instance must go too
    process.kill()
    runs.wait(process)
    await_nothing_left(runs.out)
    again = runs.start()
    runs.until(lambda: not (runs.out / "local.json").exists(), again)  # what the killed one announced is withdrawn
    runs.until(lambda: (runs.out / "run" / "endpoints.json").exists(), again)


def test_the_same_directory_twice_is_refused_and_the_first_goes_on(runs: Runs) -> None:
    first = runs.start()
    runs.until(lambda: (runs.out / "run" / "endpoints.json").exists(), first)
    status, said = runs.wait(runs.start())
    assert status == 2
    assert "--out DIR" in said
    assert str(first.pid) in said
    assert "Traceback" not in said
    assert first.poll() is None


@pytest.mark.parametrize(
    ("deploy", "status", "message"),
    [
        ([*PROBE, "--fail"], 1, "exit status 3"),
        ([*PROBE, "--skip-result"], 1, "no readable result"),
        ([*PROBE, "--break", "asr"], 1, "the function asr answers 412"),
        (["/no/such/command"], 1, "exit status 127"),
    ],
)
def test_a_failed_deployment_says_why_and_leaves_nothing(
    runs: Runs, deploy: list[str], status: int, message: str
) -> None:
    process = runs.start(*deploy)
    found, said = runs.wait(process, 60)
    assert (found, "Traceback" in said) == (status, False), said
    assert message in said
    assert not (runs.out / "local.json").exists()
    await_nothing_left(runs.out)


def test_a_deployment_that_hangs_can_be_interrupted(runs: Runs) -> None:
    process = runs.start(*PROBE, "--hang")
    runs.until(lambda: _children_of(process.pid, "deploy_probe"), process)
    process.send_signal(signal.SIGINT)
    status, said = runs.wait(process, 10)
    assert (status, "Traceback" in said) == (130, False), said
    await_nothing_left(runs.out)


def test_a_second_signal_stops_it_at_once(runs: Runs) -> None:
    process = runs.start(*PROBE, "--hang")
    runs.until(lambda: _children_of(process.pid, "deploy_probe"), process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert runs.wait(process, 5)[0] in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    await_nothing_left(runs.out)


def _children_of(pid: int, word: str) -> list[str]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_bytes().decode() for child in listed]
    return [command for command in commands if word in command]


@pytest.mark.parametrize("options", [("--engine", "choir"), ("--port-base", "many")])
def test_wrong_options_end_with_2_and_a_usage_line(runs: Runs, options: tuple[str, ...]) -> None:
    status, said = runs.wait(runs.start(options=options))
    assert status == 2
    assert "usage" in said
