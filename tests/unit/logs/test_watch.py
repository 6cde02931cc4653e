"""The watch over the suite's logs can fail: a leak planted by any road fails the session and is not repeated."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.canary import Canary

ROOT = Path(__file__).parents[3]
SECRET = "s3cret-of-nobody-at-all"
TEXT = 'Dear "Frau Müller", 您的余额不足'

LEAKS = {
    "our_line": ("logs.write('key {secret}')", "API key"),
    "our_captured_line": ("logs.write('key {secret}'); capsys.readouterr()", "API key"),
    "output": ("print('{secret}')", "API key"),
    "errors": ("print('{secret}', file=sys.stderr)", "API key"),
    "instance": ("leave('logs/f.jsonl', '{secret}')", "API key"),
    "metrics": ("leave('logs/fc-request-metrics.jsonl', '/v1/say?{secret}')", "API key"),
    "host": ("leave('stdout.log', '{secret}')", "API key"),
    "shape": ("leave('stdout.log', 'GET /x?OSSAccessKeyId=1')", "signed URL"),
    "text": ("leave('stdout.log', TEXT)", "text"),
    "text_in_json": ("leave('logs/f.jsonl', json.dumps(TEXT))", "text"),
    "text_in_a_url": ("leave('stdout.log', quote(TEXT))", "text"),
}
HEAD = f"""
import json, sys
from pathlib import Path
from urllib.parse import quote
import pytest
from isikit import logs
from support.canary import CANARY

TEXT = {TEXT!r}

@pytest.fixture
def leave(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("innocent\\n" + text, encoding="utf-8")
    CANARY.secret("API key", {SECRET!r})
    CANARY.text(TEXT)
    return write
"""


def session(tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A session of its own, outside of the folder that is watched here."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
        (folder / "test_planted.py").write_text(HEAD + tests)
        paths = " ".join(str(ROOT / part) for part in (".", "shared", "tests"))
        command = [sys.executable, "-m", "pytest", str(folder), "-q", "-p", "no:cacheprovider", f"--rootdir={folder}"]
        command += ["-c", "/dev/null", "-o", f"pythonpath={paths}", f"--basetemp={folder / 'base'}", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_leak_by_any_road_in_any_worker_fails_the_run_and_is_named_but_not_repeated() -> None:
    tests = [
        f"\ndef test_{road}(leave{', capsys' if 'capsys' in leak else ''}):\n    {leak.format(secret=SECRET)}\n"
        for road, (leak, _) in LEAKS.items()
    ]
    run = session("".join(tests), "-n", "2")
    assert run.returncode == 1, run.stdout
    assert f"{len(LEAKS)} passed" in run.stdout
    for road, (_, kind) in LEAKS.items():
        named = rf"test_{road}(0/.*:2| .*|): {kind}$"
        assert re.search(named, run.stdout, re.M), f"{road}\n{run.stdout}"
    assert SECRET not in run.stdout
    assert "余额" not in run.stdout


def test_a_session_that_leaks_nothing_passes() -> None:
    run = session("\ndef test_it(leave):\n    logs.write('nothing'); leave('stdout.log', 'nothing')\n")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("key LTAI5tAbCdEfGhIjKl", "AccessKey id"),
        ('"id": "STS.NUabcdefgh"', "STS id"),
        ("CAISxwJ1q6Ft5B2yfSjIr5f", "STS token"),
        ("GET /a.wav?Expires=1&Signature=abc%3D", "signature"),
        ("x-oss-signature=0123", "signature"),
        ("Authorization: OSS4-HMAC-SHA256", "signature"),
        ("&security-token=x", "signed URL"),
        ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.x", "JWT"),
        ("token=c0ffee00c0ffee00c0ffee00c0ffee00", "speech token"),
        ('{"id":"c0ffee00c0ffee00c0ffee00c0ffee00"}', "32 hex digits, as of a speech token"),
    ],
)
def test_secrets_that_nobody_told_are_known_by_their_shape(line: str, kind: str) -> None:
    assert kind in {found for _, found in Canary().in_text(line)}


def test_what_our_lines_hold_by_right_is_no_secret() -> None:
    lines = (
        '{"time":"2026-01-01T00:00:00.000Z","level":"info","event":"lease.granted","tenant":"acme","status":200}',
        '{"code":"oss.SignatureDoesNotMatch","upstream_code":"SignatureDoesNotMatch"}',
        "FC Invoke Start RequestId: 1-65e59b07-1520da26-bf73bbb91b69",
        '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
        '{"prompt_id":"k1' + "abcdefghijklmnopqrstuvwxyz" * 2 + '"}',
    )
    assert list(Canary().in_text("\n".join(lines))) == []
