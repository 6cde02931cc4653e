"""Runs `python -m localcloud` as its user does, for end-to-end tests, and looks for what it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from support.canary import CANARY

ROOT = Path(__file__).parents[2]
START_SECONDS = 90


class Local:
    """A running localcloud and the few calls that every test makes."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self.process = process
        self.out = out
        self.config: dict[str, Any] = json.loads((out / "local.json").read_text())
        CANARY.secret("API key", self.config["tenant"]["api_key"], self.config["tenant"]["api_key"].partition(".")[2])
        announced = json.loads((out / "run" / "endpoints.json").read_text())
        CANARY.secret("AccessKey", announced["access_key_id"], announced["access_key_secret"])

    @property
    def key(self) -> dict[str, str]:
        return {"X-Api-Key": self.config["tenant"]["api_key"]}

    def post(self, path: str, **options: Any) -> requests.Response:
        CANARY.body(options.get("json") or options.get("data"))
        answer = requests.post(self.config["gateway"] + path, timeout=40, **{"headers": self.key, **options})
        if path == "/v1/token" and answer.ok:
            CANARY.secret("speech token", answer.json()["token"])
        return answer

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.config["gateway"] + path, timeout=40, **{"headers": self.key, **options})

    def counters(self) -> dict[str, int]:
        counted: dict[str, int] = requests.get(self.config["admin"] + "/counters", timeout=10).json()
        return counted


DEPLOY = (sys.executable, "-m", "ops.deploy", "local")


def start(out: Path, *options: str, engine: str = "tone", deploy: Sequence[str] = DEPLOY) -> subprocess.Popen[str]:
    """Start it without waiting; its output is kept in `out.log` beside `out`."""
    command = [sys.executable, "-m", "localcloud", "--out", str(out), "--engine", engine, *options]
    log = out.with_suffix(".log").open("w")
    try:
        return subprocess.Popen(
            [*command, "--deploy", *deploy],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
    finally:
        log.close()


def wait_ready(process: subprocess.Popen[str], out: Path) -> Local:
    """Wait for local.json, which comes last."""
    deadline = time.monotonic() + START_SECONDS
    while not (out / "local.json").exists():
        said = out.with_suffix(".log").read_text()
        assert process.poll() is None, f"localcloud ended with {process.returncode}:\n{said[-3000:]}"
        assert time.monotonic() < deadline, f"localcloud is not ready:\n{said[-3000:]}"
        time.sleep(0.05)
    return Local(process, out)


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    """End it by its own id and return the exit code."""
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(20)


@contextmanager
def running(out: Path, *options: str, engine: str = "tone", deploy: Sequence[str] = DEPLOY) -> Iterator[Local]:
    process = start(out, *options, engine=engine, deploy=deploy)
    try:
        yield wait_ready(process, out)
    finally:
        stop(process)


def processes_of(out: Path) -> dict[int, str]:
    """Living processes that have `out` in their command, folder or environment, this one excepted."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            told = (
                (folder / "cmdline").read_bytes()
                + str((folder / "cwd").readlink()).encode()
                + (folder / "environ").read_bytes()
            )
        except OSError:
            continue  # ended meanwhile, or not ours
        if state != "Z" and str(out).encode() in told:
            found[int(folder.name)] = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode() if folder.exists() else ""
            )
    return found


def await_nothing_left(out: Path, seconds: float = 10) -> None:
    """Fail with the names of what is still running after `seconds`."""
    deadline = time.monotonic() + seconds
    while left := processes_of(out):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)
