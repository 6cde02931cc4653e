"""One daily quota over eight real processes and a real OSS server, two of them killed and replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from isikit.credentials import Credentials
from isikit.journal import Journal
from isikit.limits.day import day_of
from isikit.limits.quotas import SHARES
from isikit.objects import OssStore
from localcloud import oss
from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from support.serving import served

ROOT = Path(__file__).parents[3]
BUCKET = "isi-state"
QUOTA = 600
INSTANCES = 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, AccessKey]]:
    """Endpoint and key of an OSS with one bucket."""
    clock = Clock()
    account = Account(clock)

    def make() -> Any:
        files = oss.FileStore(tmp_path / "oss", clock)
        files.create_bucket(BUCKET)
        return oss.make_app(files, account, Faults(), clock, lambda event: None)

    with served(make) as host:
        yield f"http://{host}", account.root


def started(endpoint: str, key: AccessKey) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "support.quota_process", endpoint, BUCKET, str(QUOTA), "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "shared", "tests"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(f"{key.access_key_id} {key.access_key_secret}\n")
    process.stdin.flush()
    return process


def grants(output: str) -> int:
    return sum(int(line.split()[1]) for line in output.splitlines() if line.startswith("granted "))


def killed_at_work(process: subprocess.Popen[str]) -> int:
    """Kill a process in the middle of spending; what it was seen to spend."""
    assert process.stdout is not None
    seen = ""
    while grants(seen) < 3 and (line := process.stdout.readline()):
        seen += line
    process.kill()
    return grants(seen + process.stdout.read())


async def test_eight_processes_with_restarts_spend_one_quota_and_no_more(server: tuple[str, AccessKey]) -> None:
    endpoint, key = server
    with ExitStack() as running:
        processes = [running.enter_context(started(endpoint, key)) for _ in range(INSTANCES)]
        spent = sum(killed_at_work(process) for process in processes[:2])
        processes[:2] = [running.enter_context(started(endpoint, key)) for _ in range(2)]
        for process in processes:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            spent += grants(output)
    provider = Credentials({})
    provider.update({"x-fc-access-key-id": key.access_key_id, "x-fc-access-key-secret": key.access_key_secret})
    store = OssStore(BUCKET, endpoint, "cn-beijing", provider)
    keys = await store.list("quotas/acme/leases/")
    assert day_of((await Journal(store, keys[-1]).read()).server_time) in keys[-1]
    claimed = sum([record["take"] for name in keys for record in (await Journal(store, name).read()).records])
    assert claimed == QUOTA * len(keys)  # two where the test ran over midnight
    assert claimed - 2 * (QUOTA // SHARES) <= spent <= claimed
