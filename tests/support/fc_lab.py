"""A Function Compute to test against, with the real SDK, and a function to deploy to it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute

SOURCE = Path(__file__).with_name("fc_function.py").read_text()


def make_zip(files: dict[str, str]) -> str:
    """A package as the API takes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return base64.b64encode(buffer.getvalue()).decode()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Lab:
    """One Function Compute with its SDK client. SDK calls block and run in threads."""

    fc: FunctionCompute
    account: Account
    faults: Faults
    clock: Clock
    endpoint: str
    root: Path
    http: aiohttp.ClientSession
    notes: Path
    models: Any = models
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
        return getattr(response, "body", None)

    async def refusal(self, operation: str, *arguments: Any) -> tuple[int, str]:
        """The status and code with which an SDK call is refused."""
        with pytest.raises(Exception) as caught:
            await self.call(operation, *arguments)
        error: Any = caught.value
        return error.status_code, error.code

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

    async def create_function(self, name: str = "probe", **settings: Any) -> Any:
        """CreateFunction."""
        return await self.call(
            "create_function", models.CreateFunctionRequest(body=self.function_input(name, **settings))
        )

    async def create(self, name: str = "probe", *, methods: tuple[str, ...] = ("GET", "POST"), **settings: Any) -> str:
        """Deploy a function with an anonymous HTTP trigger and return its URL."""
        await self.create_function(name, **settings)
        return await self.create_http_trigger(name, methods=methods)

    async def create_http_trigger(self, name: str = "probe", trigger_name: str = "http", **config: Any) -> str:
        """An HTTP trigger; returns its URL."""
        config = {"authType": "anonymous", "methods": ["GET", "POST"], **config}
        trigger = await self.create_trigger(name, trigger_name, "http", config, qualifier=config.pop("qualifier", None))
        return str(trigger.http_trigger.url_internet)

    async def create_trigger(self, name: str, trigger_name: str, kind: str, config: Any, **settings: Any) -> Any:
        """CreateTrigger."""
        given = models.CreateTriggerInput(
            trigger_name=trigger_name, trigger_type=kind, trigger_config=json.dumps(config), **settings
        )
        return await self.call("create_trigger", name, models.CreateTriggerRequest(body=given))

    async def invoke(
        self, event: Any, *, asynchronous: bool = False, qualifier: str | None = None, log_type: str | None = None
    ) -> Any:
        """InvokeFunction on `probe`; the whole SDK response, its body read."""
        kind = "Async" if asynchronous else "Sync"
        headers = models.InvokeFunctionHeaders(x_fc_invocation_type=kind, x_fc_log_type=log_type)
        request = models.InvokeFunctionRequest(body=io.BytesIO(json.dumps(event).encode()), qualifier=qualifier)

        def call() -> Any:
            response = self.client.invoke_function_with_options(
                "probe", request, headers, RuntimeOptions(read_timeout=60_000)
            )
            response.body = response.body.read() if hasattr(response.body, "read") else response.body
            return response

        return await asyncio.to_thread(call)

    async def get(self, url: str, **options: Any) -> Any:
        """GET, decoded from JSON."""
        async with self.http.get(url, **options) as response:
            assert response.status == 200, await response.text()
            return await response.json(content_type=None)

    def signed(self, method: str, url: str, target: str, body: bytes) -> dict[str, str]:
        """Headers that sign a request as the SDK's own code does."""
        path, _, query = target.partition("?")
        headers = {
            "host": url.removeprefix("http://"),
            "x-acs-date": Utils.get_timestamp(),
            "x-acs-signature-nonce": Utils.get_nonce(),
            "x-acs-version": "2023-03-30",
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        request = SimpleNamespace(
            method=method, pathname=path, query=dict(parse_qsl(query, keep_blank_values=True)), headers=headers
        )
        root = self.account.root
        headers["Authorization"] = Utils.get_authorization(
            request, "ACS3-HMAC-SHA256", headers["x-acs-content-sha256"], root.access_key_id, root.access_key_secret
        )
        return headers

    async def status(self, url: str, **options: Any) -> int:
        """The status of a GET, its body read."""
        async with self.http.get(url, **options) as response:
            await response.read()
            return int(response.status)

    def noted(self) -> list[dict[str, Any]]:
        """Events that functions have written down."""
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    @staticmethod
    async def eventually(check: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Poll until `check` gives something true."""
        deadline = time.monotonic() + seconds
        while not (value := check()):
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.01)
        return value
