"""Starts localcloud as a child and makes sure that it ends with the demo, however the demo ends."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 120
_PR_SET_PDEATHSIG = 1


class CloudFailed(Exception):
    """localcloud did not come up; the message holds its own last words."""


@contextmanager
def local_cloud(out: Path, engine: str, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Run localcloud on free ports with empty data in `out` and yield what `local.json` holds."""
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "localcloud", "--out", str(out), "--engine", engine, "--fresh",
               "--deploy", sys.executable, "-m", "ops.deploy", "local"]  # fmt: skip
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a Ctrl-C reaches us alone; we pass it on once, in order
        preexec_fn=_end_with_parent,
    )
    try:
        _wait(child, say)
        yield json.loads((out / "local.json").read_text(encoding="utf-8"))
    finally:
        _stop(child)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(child: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    """Pass on localcloud's progress until it says that it is up.

    Its own word, not the file: a `local.json` may be that of another localcloud on the same directory.
    """
    assert child.stdout is not None
    deadline, lines = time.monotonic() + START_SECONDS, []
    for line in child.stdout:
        lines.append(line.rstrip())
        if line.startswith("localcloud is up"):
            say("  localcloud is up")
            return
        if time.monotonic() > deadline:
            raise CloudFailed(f"localcloud was not ready after {START_SECONDS} s")
        if not line.startswith("localcloud:"):
            say(f"  {line.rstrip()}")
    raise CloudFailed("\n".join(lines[-3:]).removeprefix("localcloud: "))


def _stop(child: subprocess.Popen[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave it half stopped
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def clear(out: Path) -> None:
    """Remove what an earlier demo left for its reader."""
    for name in ("audio", "transcripts"):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
