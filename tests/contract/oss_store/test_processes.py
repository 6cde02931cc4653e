"""Two processes race for one journal, and answers are lost meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isikit.journal import Journal

ROOT = Path(__file__).parents[3]
KEY = "jobs/raced.jsonl"
COUNT = 25


def started(server: Any, name: str) -> subprocess.Popen[str]:
    arguments = [server.endpoint, "isi-state", KEY, name, str(COUNT)]
    return subprocess.Popen(
        [sys.executable, "-m", "support.append_process", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "shared", "tests"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("when", ["never", "before", "after"])
async def test_two_processes_win_each_position_once_and_lose_nothing(server: Any, when: str) -> None:
    if when != "never":
        server.faults.arm(operation="oss.AppendObject", when=when, action="drop", nth=10, times=3)
    root = server.account.root
    processes = [started(server, name) for name in "ab"]
    won: list[int] = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{root.access_key_id} {root.access_key_secret}")
        process.stdin.close()
        process.stdin = None
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        won += [int(line) for line in out.split()]
    server.faults.disarm()
    snapshot = await Journal(server.store(), KEY).read()
    assert len(won) == len(set(won)) == len(snapshot.records) == 2 * COUNT
    for name in "ab":
        assert [record["n"] for record in snapshot.records if record["by"] == name] == list(range(COUNT))
