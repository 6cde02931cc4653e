"""Over all tests: nothing that any of them made a function, a host or a localcloud log may hold a secret or a text."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from isikit import logs
from support.canary import CANARY, logs_below


@pytest.fixture(scope="session", autouse=True)
def _canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Read all that was logged in this worker, once its last test and all its servers have ended.

    In this process by `isikit.logs`, whoever captured its stdout; and in every log file below the worker's folder:
    functions, request metrics and localcloud itself.
    """
    write = logs.write

    def heard(line: str) -> None:
        CANARY.lines.append((os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0], line))
        write(line)

    logs.write = heard
    yield
    logs.write = write
    findings = [*CANARY.in_lines(), *CANARY.in_files(logs_below(tmp_path_factory.getbasetemp()))]
    if findings:
        pytest.fail("logged in this worker's session, not only in this test:\n" + "\n".join(map(str, findings)), False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What a test or its SDKs printed counts as logged too."""
    for name, content in report.sections:
        if name.startswith("Captured std"):
            CANARY.lines.append((f"{report.nodeid} ({name})", content))
