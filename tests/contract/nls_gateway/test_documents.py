"""The tables of docs/localcloud name tests that exist, and no row is without one or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SUITES = {"nls": "contract/nls_gateway", "pop": "contract/pop", "tone": "unit/engines"}
TEST = re.compile(r"\btest_[a-z0-9_]+")
REASONS = ("not modelled", "deviation", "*assumed*")


@pytest.mark.parametrize("name", SUITES)
def test_every_row_names_a_test_or_says_why_not(name: str) -> None:
    files = list((ROOT / "tests" / SUITES[name]).glob("test_*.py"))
    files += (ROOT / "tests/contract/nls_gateway").glob("test_*.py") if name == "tone" else []
    known = {found for file in files for found in re.findall(r"def (test_\w+)", file.read_text())}
    lines = (ROOT / f"docs/localcloud/{name}.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|") and not re.match(r"\| (rule|failure) \||\|---", line)]
    assert len(rows) >= 10
    for row in rows:
        named = set(TEST.findall(row))
        assert named <= known, named - known
        assert named or any(reason in row for reason in REASONS), row
