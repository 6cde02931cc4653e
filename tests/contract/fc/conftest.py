"""Function Compute under test: the real service classes, the real SDK, real processes."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute

SOURCE = Path(__file__).with_name("function_source.py").read_text()


def make_zip(files: dict[str, str]) -> str:
    """A package as the API takes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return base64.b64encode(buffer.getvalue()).decode()


async def eventually(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Poll until `check` gives something true."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Lab:
    """One Function Compute with its SDK client. SDK calls are blocking and run in threads."""

    fc: FunctionCompute
    account: Account
    faults: Faults
    clock: Clock
    endpoint: str
    root: Path
    http: aiohttp.ClientSession
    notes: Path
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.client_with(self.account.root.access_key_id, self.account.root.access_key_secret)

    def client_with(self, access_key_id: str, secret: str, token: str | None = None) -> Any:
        """An SDK client with some credentials."""
        return Client(
            Config(
                access_key_id=access_key_id,
                access_key_secret=secret,
                security_token=token,
                endpoint=self.endpoint,
                protocol="http",
                region_id="cn-beijing",
            )
        )

    async def call(self, operation: str, *arguments: Any) -> Any:
        """An SDK call; returns the response's body."""
        response = await asyncio.to_thread(getattr(self.client, operation), *arguments)
        return response.body

    def function_input(self, name: str = "probe", **settings: Any) -> Any:
        """A function that runs the test source with 1 request per instance, unless told otherwise."""
        variables = {"NOTES": str(self.notes), **settings.pop("environment_variables", {})}
        values: dict[str, Any] = {
            "function_name": name,
            "runtime": "custom.debian12",
            "handler": "unused",
            "timeout": 30,
            "custom_runtime_config": models.CustomRuntimeConfig(command=["python3", "/code/main.py"]),
            "code": models.InputCodeLocation(zip_file=make_zip({"main.py": SOURCE})),
            "environment_variables": variables,
        }
        return models.CreateFunctionInput(**(values | settings))

    async def create(self, name: str = "probe", *, methods: tuple[str, ...] = ("GET", "POST"), **settings: Any) -> str:
        """Deploy a function with an anonymous HTTP trigger and return its URL."""
        await self.call("create_function", models.CreateFunctionRequest(body=self.function_input(name, **settings)))
        return await self.create_http_trigger(name, methods=methods)

    async def create_http_trigger(self, name: str, trigger_name: str = "http", **config: Any) -> str:
        """An HTTP trigger; returns its URL."""
        config = {"authType": "anonymous", **config}
        qualifier = config.pop("qualifier", None)
        given = models.CreateTriggerInput(
            trigger_name=trigger_name, trigger_type="http", trigger_config=json.dumps(config), qualifier=qualifier
        )
        trigger = await self.call("create_trigger", name, models.CreateTriggerRequest(body=given))
        return str(trigger.http_trigger.url_internet)

    async def get(self, url: str, **options: Any) -> Any:
        """GET, decoded from JSON."""
        async with self.http.get(url, **options) as response:
            assert response.status == 200, await response.text()
            return await response.json(content_type=None)

    def noted(self) -> list[dict[str, Any]]:
        """Events that functions have written down."""
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of the service under test; parametrise `settings` to change them."""
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
    assert not [pid for pid in pids if alive(pid)]
    assert os.path.exists(tmp_path)  # noqa: PTH110
