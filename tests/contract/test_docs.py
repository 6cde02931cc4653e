"""The pages on localcloud name tests that exist, and the index names every page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "localcloud").glob("*.md"))
INDEX = ROOT / "docs" / "localcloud.md"


def named_tests(page: Path) -> set[str]:
    """Every word that begins like a test's name, a test file's included; `test_a_*` stands for all that begin so."""
    return set(re.findall(r"\btest_\w+\*?", page.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """Names of all test functions and test files."""
    names: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names.add(path.stem)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                names.add(node.name)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_tests_and_all_of_them_exist(page: Path, tests: set[str]) -> None:
    named = named_tests(page)
    missing = {
        name
        for name in named
        if not (any(test.startswith(name[:-1]) for test in tests) if name.endswith("*") else name in tests)
    }
    assert named, f"{page.name} names no test"
    assert not missing, f"{page.name} names tests that are not there"


def test_the_index_links_every_page() -> None:
    linked = set(re.findall(r"\]\(localcloud/([\w-]+\.md)\)", INDEX.read_text(encoding="utf-8")))
    assert linked == {page.name for page in PAGES}
