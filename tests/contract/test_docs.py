"""The documents are held to the code: the tests, settings, endpoints and commands that they name are there."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

from isikit import tenants
from isikit.config import SETTINGS, Setting
from isikit.tenants.schema import Tenant

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "localcloud").glob("*.md"))
INDEX = ROOT / "docs" / "localcloud.md"
FUNCTIONS = ("leases", "prompts", "transcripts")


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


def text_of(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def row_of(setting: Setting) -> str:
    """A setting's line in the table, as it has to be."""
    default = "required" if setting.required else f"`{setting.default}`" if setting.default != "" else "empty"
    return f"| `{setting.name}` | {default} | {setting.meaning} |"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_as_it_is_declared(setting: Setting) -> None:
    assert row_of(setting) in text_of("docs/settings.md").splitlines()


def test_no_document_names_a_setting_that_is_not_there() -> None:
    pages = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")]
    named = set(re.findall(r"\bISI_[A-Z_]*[A-Z]\b(?!_?\*)", text_of("README.md", *pages)))
    assert named == {setting.name for setting in SETTINGS}


def test_the_tenants_file_that_is_shown_is_one_and_shows_every_field() -> None:
    page = text_of("docs/settings.md")
    shown = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    assert tenants.parse(shown[1].encode()).find("acme") is not None
    assert {field for field in Tenant.__struct_fields__ if f"`{field}`" not in page and field != "id"} == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_contract_names_every_endpoint(function: str) -> None:
    contract = text_of("docs/design.md")
    paths = importlib.import_module(f"functions.{function}.openapi").DOCUMENT["paths"]
    missing = {path for path in paths if path.partition("{")[0].rstrip("/") not in contract}
    assert not missing


def test_the_attacks_that_are_named_exist(tests: set[str]) -> None:
    rows = [row for row in text_of("docs/security.md").splitlines() if re.match(r"\| .*\| .*\| .*\| .*`.*\|$", row)]
    named = [name for row in rows for name in re.findall(r"`([\w/]*test[\w/.]*)`", row.rsplit("|", 2)[1])]
    assert len(named) >= len(rows) > 20
    files = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    missing = {name for name in named if not ((ROOT / name).is_file() if "/" in name else name in files)}
    assert missing == set(), "a folder attacks nothing: name its file"


def test_an_operator_finds_every_command() -> None:
    page = text_of("docs/operating.md")
    commands = {f"./scripts/{file.name}" for file in (ROOT / "scripts").iterdir()} - {"./scripts/python"}
    commands |= {f"./scripts/bench {name}" for name in importlib.import_module("ops.bench.__main__").BENCHMARKS}
    assert {command for command in commands if command not in page} == set()


def test_a_benchmark_of_the_product_starts_as_its_user_starts_it() -> None:
    command = [ROOT / "scripts" / "bench", "audio", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "usage: " in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_no_link_is_broken(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", text_of(page))
    assert {link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()} == set()


def test_the_functions_documents_fit_into_one() -> None:
    documents = [importlib.import_module(f"functions.{function}.openapi").DOCUMENT for function in FUNCTIONS]
    operations = [
        operation["operationId"]
        for document in documents
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    assert len(set(operations)) == len(operations)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", operation) for operation in operations)
    shared = [set(document["components"]["schemas"]) for document in documents]
    assert set.intersection(*shared) == {"Problem"}
    assert len(set.union(*shared)) == sum(map(len, shared)) - 2, "a name that two functions use must mean one thing"
    assert all(document["security"] == documents[0]["security"] for document in documents)
