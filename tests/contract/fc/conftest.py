"""Function Compute under test: the real service classes, the real SDK, real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute
from support.fc_lab import Lab, alive


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of the service under test; a module or a test overrides the fixture to change them."""
    return {}


@pytest.fixture
async def lab(tmp_path: Path, settings: dict[str, Any]) -> AsyncIterator[Lab]:
    clock = Clock()
    account, faults = Account(clock), Faults()
    fc = FunctionCompute(
        tmp_path / "fc", account, faults, clock, tmp_path / "logs", **{"retry_seconds": 0.02, **settings}
    )
    runner = web.AppRunner(fc.control_app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as http:
        yield Lab(fc, account, faults, clock, f"127.0.0.1:{port}", tmp_path, http, tmp_path / "notes.jsonl")
    pids = [instance.pid for instance in fc.instances() if instance.pid]
    await fc.close()
    await runner.cleanup()
    assert not [pid for pid in pids if alive(pid)], "an instance outlived its Function Compute"
