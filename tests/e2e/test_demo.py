"""The demo, as a new user runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import local_cloud

pytestmark = pytest.mark.xdist_group("demo")


def demo(out: Path, engine: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ops.demo", "--engine", engine, "--out", str(out)]
    return subprocess.Popen(command, cwd=local_cloud.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("engine", ["tone", pytest.param("speech", marks=pytest.mark.speech)])
def test_the_demo_does_the_main_job_and_leaves_what_it_says(tmp_path: Path, engine: str) -> None:
    out = tmp_path / "out"
    process = demo(out, engine)
    said, _ = process.communicate(timeout=110)
    assert process.returncode == 0, said
    assert {path.name for path in (out / "audio").iterdir()} == {
        "welcome.ulaw", "welcome.wav", "balance.ulaw", "balance.wav", "recording.wav",
    }  # fmt: skip
    assert {path.suffix for path in (out / "transcripts").iterdir()} == {".json", ".txt", ".srt", ".vtt"}
    for event in ("lease.granted", "synthesis.finished", "prompt.served", "job.finished"):
        assert event in said
    local_cloud.await_nothing_left(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_the_demo_half_way_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    process = demo(out, "tone")
    assert process.stdout is not None
    for line in process.stdout:
        if "2. an IVR platform" in line:
            break
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode != 0
    local_cloud.await_nothing_left(out)


def test_the_demo_refuses_the_folder_of_a_running_localcloud_and_touches_nothing_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with local_cloud.running(out) as local:
        (out / "audio").mkdir()
        process = demo(out, "tone")
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1, said
        assert "--out" in said
        assert (out / "audio").exists()
        assert local.get("/healthz").status_code == 200
