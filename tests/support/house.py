"""The doors over a store in memory: tenants and keys as a test writes them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import Headers

from isikit.identity import Caller, Doors, KeySets
from isikit.identity.fetching import FetchError
from isikit.secrets import KeyRing
from isikit.tenants import Tenants
from support.memory_store import MemoryStore, MovableClock, StoredObject

SECRET = "s" * 43
API_KEY = f"k1.{SECRET}"
OTHER_SECRET = "o" * 43
OTHER_API_KEY = f"k2.{OTHER_SECRET}"
ROUTE_SECRET = "route-secret-" + "r" * 30
APP_SECRET = "app-secret-" + "a" * 30
JWKS_URL = "https://issuer.example.com/keys"


def entry(tenant_id: str, key_id: str, secret: str, **more: Any) -> dict[str, Any]:
    """One entry of tenants.json with an API key."""
    return {
        "id": tenant_id,
        "api_keys": [{"id": key_id, "sha256": hashlib.sha256(secret.encode()).hexdigest()}],
        **more,
    }


def issued_for(audience: str, issuer: str = "https://issuer.example.com", jwks_url: str = JWKS_URL) -> dict[str, str]:
    """An entry of a tenant's `jwt`."""
    return {"issuer": issuer, "audience": audience, "jwks_url": jwks_url}


@dataclass
class House:
    """Two tenants, `acme` and `other`, with every door each; what else there is, a test writes.

    `documents` are the key sets by URL, `asked` the URLs that were asked for, `pauses` the waits before refusals.
    """

    clock: MovableClock = field(default_factory=MovableClock)
    documents: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryStore(clock=self.clock)
        self.write_tenants(
            entry("acme", "k1", SECRET, consumers=["acme-gw"], apps=["1001"], jwt=[issued_for("acme-api")]),
            entry("other", "k2", OTHER_SECRET, consumers=["other-gw"], apps=["1002"], jwt=[issued_for("other-api")]),
        )
        self.write_keys(route_secrets=[ROUTE_SECRET], app_secrets=[APP_SECRET])
        self.keys = KeyRing(self.store, clock=self.clock.now)
        self.tenants = Tenants(self.store, clock=self.clock.now)
        self.key_sets = KeySets(get=self._get, clock=self.clock.now)
        self.doors = Doors(self.tenants, self.keys, self.key_sets, pause=self._pause)

    def write_tenants(self, *entries: dict[str, Any]) -> None:
        """Write tenants.json anew."""
        self._write("config/tenants.json", {"version": 1, "tenants": entries})

    def write_keys(self, **more: Any) -> None:
        """Write keys.json anew."""
        master = b64encode(bytes(range(32))).decode()
        self._write("config/keys.json", {"version": 1, "master": master, **more})

    async def _get(self, url: str, _: float) -> bytes:
        self.asked.append(url)
        if url not in self.documents:
            raise FetchError("unreachable")
        return self.documents[url]

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def _write(self, key: str, content: Any) -> None:
        data = msgspec.json.encode(content)
        self.store.objects[key] = StoredObject(data, "application/json", {}, self.clock.now())

    async def knock(self, headers: dict[str, str] | Headers, **scope: Any) -> Caller:
        """Ask the doors who sends these headers."""
        sent = headers if isinstance(headers, Headers) else Headers(headers)
        return await self.doors.identify(sent, {"type": "http", **scope})
