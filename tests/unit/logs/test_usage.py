"""What the code logs is what may be logged: read from the source, so that no line has to be run to be checked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from isikit import logs

ROOT = Path(__file__).parents[3]
FRAME = {"level"}
OWN = ("event", "failure")  # as `isikit.logs` calls them itself


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted([*(ROOT / "shared/isikit").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "logs.event",
                "logs.failure",
                *(OWN if path.name == "logs.py" else ()),
            ):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_field_that_is_logged_is_on_the_list() -> None:
    unlisted = {
        (where, keyword.arg)
        for where, call in _calls()
        for keyword in call.keywords
        if keyword.arg is not None and keyword.arg not in FRAME | set(logs.FIELDS)
    }
    assert unlisted == set()


def test_every_field_on_the_list_is_logged_by_somebody() -> None:
    """What nobody logs any more leaves the list: it is read as what to expect of the log."""
    named = {keyword.arg for _, call in _calls() for keyword in call.keywords}
    files = {where.rpartition(":")[0] for where, call in _calls() if any(each.arg is None for each in call.keywords)}
    for path in files:  # fields that are put together before the call
        named |= {
            key.value
            for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
            if isinstance(node, ast.Dict)
            for key in node.keys
            if isinstance(key, ast.Constant)
        }
    assert set(logs.FIELDS) - named == set()


def test_every_event_is_called_noun_dot_verb() -> None:
    names = [(where, call.args[0].value) for where, call in _calls() if isinstance(call.args[0], ast.Constant)]
    assert names
    assert [one for one in names if not re.fullmatch(r"[a-z_]+\.[a-z_]+", str(one[1]))] == []


def test_nothing_prints() -> None:
    """stdout belongs to `logs`: a print would pass the list by."""
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted([*(ROOT / "shared/isikit").rglob("*.py"), *(ROOT / "functions").rglob("*.py")])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []
