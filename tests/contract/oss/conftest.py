"""A real OSS server on loopback and unmodified SDKs as its clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest

from localcloud import oss
from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from support.serving import served

BUCKET = "my-bucket"
MAX_OBJECT_BYTES = 8 * 1024 * 1024  # instead of 5 GB, so that the cap can be reached


@dataclass
class Server:
    """The server's insides, for arranging and for looking."""

    root: Path
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    events: list[dict[str, Any]] = field(default_factory=list)
    host: str = ""

    def __post_init__(self) -> None:
        self.account = Account(self.clock)

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}"

    def bucket(self, auth: oss2.AuthBase | None = None, name: str = BUCKET, endpoint: str = "") -> oss2.Bucket:
        """An oss2 bucket; signed V4 by the root key unless told otherwise."""
        auth = auth or v4(self.account.root)
        return oss2.Bucket(auth, endpoint or self.endpoint, name, region=self.account.region, connect_timeout=20)

    def client_v2(self, **settings: Any) -> oss_v2.Client:
        """The newer SDK, which composes its signatures with other code."""
        key = settings.pop("key", self.account.root)
        config = oss_v2.config.load_default()
        config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(
            key.access_key_id, key.access_key_secret, key.security_token or None
        )
        config.region = self.account.region
        config.endpoint = self.endpoint
        config.retry_max_attempts = 1
        for name, value in settings.items():
            setattr(config, name, value)
        return oss_v2.Client(config)


def v4(key: AccessKey) -> oss2.AuthBase:
    """oss2's V4 signer for a key or a session."""
    return _signer(key, oss2.AuthV4, oss2.AUTH_VERSION_4)


def v1(key: AccessKey) -> oss2.AuthBase:
    """oss2's V1 signer for a key or a session."""
    return _signer(key, oss2.Auth, oss2.AUTH_VERSION_1)


def _signer(key: AccessKey, plain: Any, version: str) -> oss2.AuthBase:
    if key.security_token:
        return oss2.StsAuth(key.access_key_id, key.access_key_secret, key.security_token, auth_version=version)
    return plain(key.access_key_id, key.access_key_secret)


@contextmanager
def serve(running: Server, **settings: Any) -> Iterator[Server]:
    """Serve OSS with one bucket."""

    def make() -> Any:
        store = oss.FileStore(running.root, running.clock, max_object_bytes=MAX_OBJECT_BYTES)
        store.create_bucket(BUCKET)
        return oss.make_app(store, running.account, running.faults, running.clock, running.events.append, **settings)

    with served(make) as host:
        running.host = host
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with one bucket."""
    with serve(Server(tmp_path / "oss")) as running:
        yield running


@pytest.fixture
def bucket(server: Server) -> oss2.Bucket:
    """oss2 on the server's bucket, signed V4."""
    return server.bucket()
