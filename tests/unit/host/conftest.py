"""One host for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running_host import RunningHost


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """Serves `echo_function.py`."""
    running = RunningHost("echo_function", Path(__file__).parent, tmp_path_factory.mktemp("host") / "stdout.log")
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.end()
