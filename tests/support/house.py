"""The doors over a store in memory: tenants and keys as a test writes them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import Headers

from isikit.identity import Caller, Doors
from isikit.secrets import KeyRing
from isikit.tenants import Tenants
from support.memory_store import MemoryStore, MovableClock, StoredObject

SECRET = "s" * 43
API_KEY = f"k1.{SECRET}"
OTHER_SECRET = "o" * 43
OTHER_API_KEY = f"k2.{OTHER_SECRET}"


def entry(tenant_id: str, key_id: str, secret: str, **more: Any) -> dict[str, Any]:
    """One entry of tenants.json with an API key."""
    return {
        "id": tenant_id,
        "api_keys": [{"id": key_id, "sha256": hashlib.sha256(secret.encode()).hexdigest()}],
        **more,
    }


@dataclass
class House:
    """Two tenants, `acme` and `other`, each with an API key; what else there is, a test writes."""

    clock: MovableClock = field(default_factory=MovableClock)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.write_tenants(entry("acme", "k1", SECRET), entry("other", "k2", OTHER_SECRET))
        self.write_keys()
        self.keys = KeyRing(self.store, clock=self.clock.now)
        self.tenants = Tenants(self.store, clock=self.clock.now)
        self.doors = Doors(self.tenants, self.keys)

    def write_tenants(self, *entries: dict[str, Any]) -> None:
        """Write tenants.json anew."""
        self._write("config/tenants.json", {"version": 1, "tenants": entries})

    def write_keys(self, **more: Any) -> None:
        """Write keys.json anew."""
        master = b64encode(bytes(range(32))).decode()
        self._write("config/keys.json", {"version": 1, "master": master, **more})

    def _write(self, key: str, content: Any) -> None:
        data = msgspec.json.encode(content)
        self.store.objects[key] = StoredObject(data, "application/json", {}, self.clock.now())

    async def knock(self, headers: dict[str, str] | Headers, **scope: Any) -> Caller:
        """Ask the doors who sends these headers."""
        sent = headers if isinstance(headers, Headers) else Headers(headers)
        return await self.doors.identify(sent, {"type": "http", **scope})
