"""An instance of the leases function on a store in memory and a token API that does what the test says."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from functions.leases.app import routes
from functions.leases.lease import Endpoints, Leases
from functions.leases.service import Service
from functions.leases.uploads import Uploads
from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.host import make_app
from isikit.host.context import Deadline
from isikit.identity import Doors
from isikit.limits import Limits
from isikit.nls.token import SpeechToken, TokenSource
from isikit.objects.presign import Presigner
from isikit.secrets import KeyRing
from isikit.tenants import Tenant, Tenants
from support import asgi
from support.memory_store import MemoryStore, MovableClock, StoredObject

SECRET = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "fedcba9876543210fedcba9876543210"
TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
STS = {
    "x-fc-access-key-id": "STS.testid",
    "x-fc-access-key-secret": "testsecret",
    "x-fc-security-token": "CAIS-testtoken",
}


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
class OneAccount:
    """Every tenant's token is that of one account; remembers whose was asked for."""

    source: TokenSource
    asked: list[str] = field(default_factory=list)

    def for_tenant(self, tenant: Tenant) -> TokenSource:
        """See `Tokens.for_tenant`."""
        self.asked.append(tenant.role_arn)
        return self.source


@dataclass
class World:
    """The function and what is around it. Clients come for their renewal at the latest moment, unless a test says."""

    clock: MovableClock = field(default_factory=MovableClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    chance: float = 1.0

    def __post_init__(self) -> None:
        self.api = FakeTokenApi(self.clock)
        self.tenant()
        self._write("config/keys.json", {"version": 1, "master": b64encode(bytes(range(32))).decode()})
        source = TokenSource(cast(Settings, None), cast(Credentials, None), fetcher=self.api, now=self.clock.now)
        self.tokens = OneAccount(source)
        credentials = Credentials({})
        credentials.update(STS)
        tenants, limits = Tenants(self.store), Limits(self.store)
        self.leases = Leases(
            self.tokens,
            limits,
            Endpoints("wss://nls.example.com/ws/v1", "https://nls.example.com"),
            "cn-beijing",
            lambda: self.chance,
        )
        service = Service(
            Doors(tenants, KeyRing(self.store)),
            tenants,
            limits,
            self.leases,
            Uploads(
                Presigner(
                    "recordings", "https://oss-cn-beijing.aliyuncs.com", "cn-beijing", credentials, clock=self.clock.now
                ),
                limits,
                self.clock.now,
            ),
        )
        self.app = make_app(routes(lambda: service))

    def tenant(self, **changes: Any) -> None:
        """Write tenants.json, before the first request."""
        entry = {
            "id": "acme",
            "api_keys": [{"id": "k-one", "sha256": hashlib.sha256(SECRET.encode()).hexdigest()}],
            "lease": True,
            "appkeys": [
                {"appkey": "en8", "locale": "en-US", "sample_rate_hz": 8000},
                {"appkey": "zh8", "locale": "zh-CN", "sample_rate_hz": 8000},
                {"appkey": "chinese16", "locale": "zh-CN", "sample_rate_hz": 16000},
            ],
            "default_voice": {"zh-CN": "xiaoyun"},
            "origins": ["https://app.example.com"],
            **changes,
        }
        other = {
            "id": "other",
            "api_keys": [{"id": "k-other", "sha256": hashlib.sha256(OTHER_SECRET.encode()).hexdigest()}],
            "origins": ["https://other.example.com"],
        }
        self._write("config/tenants.json", {"version": 1, "tenants": [entry, other]})

    def _write(self, key: str, content: Any) -> None:
        self.store.objects[key] = StoredObject(msgspec.json.encode(content), "application/json", {}, 0)

    async def post(
        self, body: Any = None, *, key: str = f"k-one.{SECRET}", path: str = "/v1/token", **headers: str
    ) -> asgi.Answer:
        """`POST /v1/token`, or another path."""
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        sent = {**({"X-Api-Key": key} if key else {}), **headers}
        return await asgi.call(self.app, "POST", path, headers=sent, body=raw)

    async def upload(self, body: Any, **headers: str) -> asgi.Answer:
        """`POST /v1/uploads`."""
        return await self.post(body, path="/v1/uploads", **headers)


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()
