"""Child processes: signalled as a group, reaped by number never reused, dead with their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.children import Child, Guardian
from support.fc_lab import alive

ROOT = Path(__file__).parents[3]


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    made = Guardian()
    yield made
    made.close()


async def test_the_exit_status_is_told(guardian: Guardian) -> None:
    assert await Child.spawn([sys.executable, "-c", "raise SystemExit(5)"], guardian).wait() == 5
    child = Child.spawn([sys.executable, "-c", "import time; time.sleep(60)"], guardian)
    child.kill()
    assert await child.wait() == -signal.SIGKILL


async def test_a_command_that_is_not_there_is_127(guardian: Guardian) -> None:
    assert await Child.spawn(["/no/such/command"], guardian, output=subprocess.DEVNULL).wait() == 127


async def test_the_environment_is_what_is_given(guardian: Guardian) -> None:
    read_end, write_end = os.pipe()
    child = Child.spawn(["/usr/bin/env"], guardian, env={"ONLY": "this"}, output=write_end)
    os.close(write_end)
    await child.wait()
    with os.fdopen(read_end) as seen:
        assert seen.read() == "ONLY=this\n"


async def test_the_group_ends_with_its_leader(guardian: Guardian, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {note}.part; mv {note}.part {note}; wait"
    child = Child.spawn(["/bin/sh", "-c", script], guardian)
    await _until(note.exists)
    grandchild = int(note.read_text())
    child.send(signal.SIGTERM)
    await child.wait()
    await _until(lambda: not alive(grandchild))
    child.send(signal.SIGTERM)  # nobody is hit by a signal to a group that is gone


async def test_a_stopped_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"""
import asyncio, os, pathlib, signal
from localcloud.children import Child, Guardian
async def main():
    child = Child.spawn(["/bin/sh", "-c", "sleep 600 & echo $! > {note}; wait"], Guardian())
    note = pathlib.Path({str(note)!r})
    while not (note.exists() and note.read_text().strip()):
        await asyncio.sleep(0.01)
    child.send(signal.SIGSTOP)
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    grandchild = int(note.read_text())
    parent.kill()
    await parent.communicate()
    await _until(lambda: not alive(child))
    await _until(lambda: not alive(grandchild))


async def _until(check: object) -> None:
    deadline = time.monotonic() + 10
    assert callable(check)
    while not check():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
