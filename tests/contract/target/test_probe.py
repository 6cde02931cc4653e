"""The probe: a check for every row of docs/unverified.md, told before it is done, and localcloud as believed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops import probe, probe_storage
from ops.probe_check import AS_BELIEVED, NOT_SEEN, OTHERWISE, Check, Probe, Seen
from ops.probe_target import Target
from support import local_cloud

ROOT = Path(__file__).parents[3]
UNCHECKABLE = "not checkable by a program"


def rows() -> list[list[str]]:
    lines = (ROOT / "docs/unverified.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_row_has_a_check_of_its_name_or_a_reason() -> None:
    names = {check.believed for check in probe.CHECKS}
    unchecked = [row[0] for row in rows() if row[0] not in names and UNCHECKABLE not in row[0]]
    assert unchecked == []
    for row in rows():
        if UNCHECKABLE in row[0]:
            assert re.search(UNCHECKABLE + r"\W+\w+", row[0]), f"no reason: {row[0]}"


def test_every_check_is_of_a_row() -> None:
    assert {check.believed for check in probe.CHECKS} <= {row[0] for row in rows()}
    assert len({check.believed for check in probe.CHECKS}) == len(probe.CHECKS)


def test_the_probe_finds_localcloud_as_believed(tmp_path: Path) -> None:
    with local_cloud.running(tmp_path / "out") as local:
        command = [sys.executable, "-m", "ops.probe", "--local", str(local.out / "local.json")]
        whole = {**os.environ, "PYTHONPATH": ".:shared"}  # as scripts/probe
        told = subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True, timeout=60)
        assert told.returncode == 0, told.stderr
        assert "Nothing was done" in told.stdout
        assert sum(count for name, count in local.counters().items() if name == "nls.synthesis") == 0
        done = subprocess.run([*command, "--yes"], cwd=ROOT, env=whole, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"\n{len(probe.CHECKS)} {AS_BELIEVED}\n"), done.stdout
    assert "could not be deleted" not in done.stdout
    assert local.config["credentials"]["access_key_secret"] not in done.stdout


def test_without_an_account_it_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.probe", "--yes"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "TARGET_ACCESS_KEY_SECRET" in done.stderr


def test_one_check_that_fails_hides_no_other_and_echoes_nothing(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    undone: list[str] = []

    def breaks(one: Probe) -> Seen:
        one.undo.append(lambda: undone.append("breaks"))
        raise RuntimeError("the token 'abc' has expired")

    checks = (
        Check("a", "nothing", breaks),
        Check("b", "nothing", lambda _: Seen.judged("1", False)),
        Check("c", "nothing", lambda _: Seen.judged("2", True)),
    )
    verdicts = probe.run(target, checks)
    assert verdicts == {probe.FAILED: 1, OTHERWISE: 1, AS_BELIEVED: 1}
    assert undone == ["breaks"]
    assert "abc" not in capsys.readouterr().out


def test_event_keys_are_not_seen_where_nothing_is_deployed(target: Target) -> None:
    assert probe_storage.event_key(Probe(target)).verdict == NOT_SEEN


def test_a_store_that_lets_two_win_is_otherwise() -> None:
    seen = probe_storage._races("409 X", lambda _: lambda racer: None)
    assert (seen.verdict, seen.text) == (OTHERWISE, "20 rounds of two: 20 x ok and ok")
