"""Servers to measure, as children that end with the block."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ops.build import ROOT

START_SECONDS = 90.0
_POLL_SECONDS = 0.005
_STOP_SECONDS = 20.0


class NotStarted(Exception):
    """A server did not come up; the message holds its last words."""


@contextlib.contextmanager
def localcloud(out: Path, *, deployed: bool) -> Iterator[tuple[dict[str, Any], float]]:
    """A localcloud with `tone`: what its file says, and the seconds until the file was there.

    `deployed` waits for `local.json`, with the functions deployed and healthy; else for the services alone.
    """
    command = [sys.executable, "-m", "localcloud", "--out", str(out), "--engine", "tone", "--fresh"]
    if deployed:
        command += ["--deploy", sys.executable, "-m", "ops.deploy", "local"]
    ready = out / "local.json" if deployed else out / "run" / "endpoints.json"
    if ready.exists():  # of an earlier run in this directory
        ready.unlink()
    started = time.monotonic()
    with _child(command, out.with_suffix(".log"), ready.exists):
        took = time.monotonic() - started
        yield json.loads(ready.read_text(encoding="utf-8")), took


@contextlib.contextmanager
def moto(python: str, log: Path) -> Iterator[str]:
    """A plain moto server; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    with _child([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log, answers):
        yield f"http://127.0.0.1:{port}"


def has_moto(python: str) -> bool:
    """Whether an interpreter has moto's server."""
    try:
        return subprocess.run([python, "-c", "import moto.server, flask_cors"], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _child(command: Sequence[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        give_up = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > give_up:
                raise NotStarted(f"{' '.join(command[:4])} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
