"""Where a target's services are, as localcloud writes it (`out/run/endpoints.json`)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oss2


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Service addresses and the account's root key. Every URL is `http://` or `ws://127.0.0.1:PORT`."""

    account_id: str
    region: str
    oss: str
    nls_rest: str
    nls_websocket: str
    pop: str
    fc: str
    gateway: str
    admin: str
    appkey: str
    appkey_8k: str
    access_key_id: str
    access_key_secret: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Endpoints:
        """Read the file; unknown entries are other readers' business."""
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{name: found[name] for name in cls.__slots__})

    def bucket(self, name: str) -> oss2.Bucket:
        """A bucket of the target, with the root key."""
        auth = oss2.AuthV4(self.access_key_id, self.access_key_secret)
        return oss2.Bucket(auth, self.oss, name, region=self.region, connect_timeout=10)
