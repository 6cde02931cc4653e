"""An instance of the leases function on a store in memory and a token API that does what the test says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from functions.leases.app import routes
from functions.leases.lease import Endpoints, Leases
from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.host import make_app
from isikit.host.context import Deadline
from isikit.identity import Doors
from isikit.nls.token import SpeechToken, TokenSource
from isikit.secrets import KeyRing
from isikit.tenants import Tenants
from support import asgi
from support.memory_store import MemoryStore, MovableClock, StoredObject

SECRET = "0123456789abcdef0123456789abcdef"
TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@dataclass
class FakeTokenApi:
    """Gives out one token after the other."""

    clock: MovableClock
    life_seconds: float = 86_400
    error: Exception | None = None
    fetched: int = 0

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        self.fetched += 1
        if self.error is not None:
            raise self.error
        return SpeechToken(TOKEN[: -len(str(self.fetched))] + str(self.fetched), self.clock.now() + self.life_seconds)


@dataclass
class World:
    """The function and what is around it."""

    clock: MovableClock = field(default_factory=MovableClock)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.api = FakeTokenApi(self.clock)
        self.tenant()
        leases = Leases(
            doors=Doors(Tenants(self.store), KeyRing(self.store)),
            tokens=TokenSource(cast(Settings, None), cast(Credentials, None), fetcher=self.api, now=self.clock.now),
            endpoints=Endpoints("wss://nls.example.com/ws/v1", "https://nls.example.com"),
            region="cn-beijing",
            clock=self.clock.now,
        )
        self.app = make_app(routes(lambda: leases))

    def tenant(self, **changes: Any) -> None:
        """Write tenants.json, before the first request."""
        entry = {
            "id": "acme",
            "api_keys": [{"id": "k-one", "sha256": hashlib.sha256(SECRET.encode()).hexdigest()}],
            "lease": True,
            "appkeys": [
                {"appkey": "en8", "locale": "en-US", "sample_rate_hz": 8000},
                {"appkey": "zh8", "locale": "zh-CN", "sample_rate_hz": 8000},
                {"appkey": "zh16", "locale": "zh-CN", "sample_rate_hz": 16000},
            ],
            "default_voice": {"zh-CN": "xiaoyun"},
            **changes,
        }
        data = msgspec.json.encode({"version": 1, "tenants": [entry]})
        self.store.objects["config/tenants.json"] = StoredObject(data, "application/json", {}, 0)

    async def post(self, body: Any = None, *, key: str = f"k-one.{SECRET}") -> asgi.Answer:
        """`POST /v1/token`."""
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return await asgi.call(self.app, "POST", "/v1/token", headers={"X-Api-Key": key} if key else {}, body=raw)


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()
