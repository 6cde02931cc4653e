"""The same bucket twice: in memory, and through oss2 on a real OSS server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from isikit.credentials import Credentials
from isikit.objects import ObjectStore, OssStore
from isikit.objects.oss import ATTEMPTS
from isikit.retry import RetryBudget
from localcloud import oss
from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from support.memory_store import MemoryStore, MovableClock
from support.serving import served

BUCKETS = ("isi-state", "isi-recordings")
OPERATIONS = {
    "append": "AppendObject",
    "tail": "GetObject",
    "get": "GetObject",
    "put": "PutObject",
    "head": "HeadObject",
    "delete": "DeleteObject",
    "list": "ListObjectsV2",
}


@dataclass
class Server:
    """A running OSS."""

    root: Path
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    host: str = ""

    def __post_init__(self) -> None:
        self.account = Account(self.clock)

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}"

    def credentials(self, key: AccessKey | None = None) -> Credentials:
        """As a function gets them: by the headers of a request, with a security token."""
        key = key or self.account.open_session("function")
        provider = Credentials({})
        provider.update(
            {
                "x-fc-access-key-id": key.access_key_id,
                "x-fc-access-key-secret": key.access_key_secret,
                "x-fc-security-token": key.security_token,
            }
        )
        return provider

    def store(self, bucket: str = BUCKETS[0], **settings: Any) -> OssStore:
        settings.setdefault("budget", RetryBudget())
        return OssStore(bucket, self.endpoint, self.account.region, self.credentials(), **settings)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with two buckets."""
    running = Server(tmp_path / "oss")

    def make() -> Any:
        files = oss.FileStore(running.root, running.clock)
        for bucket in BUCKETS:
            files.create_bucket(bucket)
        return oss.make_app(files, running.account, running.faults, running.clock, lambda event: None)

    with served(make) as host:
        running.host = host
        yield running


@dataclass
class Target:
    """Two buckets of one kind, their clock, and a way to lose answers.

    `tries` is how often the store makes a call that may be repeated: the one in memory leaves that to tests.
    """

    store: ObjectStore
    other: ObjectStore
    other_bucket: str
    now: Callable[[], float]
    move: Callable[[float], None]
    lose: Callable[..., None]
    heal: Callable[[], None]
    calls: Callable[[str], int]
    tries: int


@pytest.fixture(params=["memory", "oss2"])
def target(request: pytest.FixtureRequest) -> Target:
    """What the contract is checked on."""
    if request.param == "memory":
        clock, cloud = MovableClock(), {}
        store, other = (MemoryStore(name, clock, cloud) for name in BUCKETS)
        return Target(
            store, other, BUCKETS[1], clock.now, clock.move, store.fail, store.heal, lambda name: store.calls[name], 1
        )
    server: Server = request.getfixturevalue("server")

    def lose(operation: str, *, when: str, times: int = 1) -> None:
        server.faults.arm(operation=f"oss.{OPERATIONS[operation]}", when=when, action="drop", times=times)

    def calls(operation: str) -> int:
        return server.faults.counters().get(f"oss.{OPERATIONS[operation]}", 0)

    store, other, clock = server.store(), server.store(BUCKETS[1]), server.clock
    return Target(store, other, BUCKETS[1], clock.now, clock.move, lose, server.faults.disarm, calls, ATTEMPTS)
