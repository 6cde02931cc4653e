"""Every rule of docs/localcloud/gateway.md names tests that exist, or says why there is none."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
FILES = {"g": "test_gateway.py", "c": "test_consumers.py", "t": "test_traditional.py"}


def test_every_test_that_the_page_names_is_there() -> None:
    page = (HERE.parents[2] / "docs/localcloud/gateway.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page))
    there = {name for file in FILES.values() for name in re.findall(r"def (test_\w+)", (HERE / file).read_text())}
    assert named - there == set()
    assert len(named) > 30


def test_every_consumer_and_traditional_rule_has_a_row() -> None:
    page = (HERE.parents[2] / "docs/localcloud/gateway.md").read_text(encoding="utf-8")
    for file in ("test_consumers.py", "test_traditional.py"):
        tests = set(re.findall(r"def (test_\w+)", (HERE / file).read_text()))
        unnamed = {name for name in tests if name not in page}
        assert unnamed <= {"test_consumers_and_routes_can_be_taken_away"}, unnamed
