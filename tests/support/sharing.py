"""Instances that share a speech token: real sources, logs and keys over one store in memory; the calls are counted."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.errors import TokenError, token_error
from isikit.host.context import Deadline
from isikit.nls.shared_token import SharedToken
from isikit.nls.speech_token import SpeechToken
from isikit.nls.token import TokenSource
from isikit.nls.token_log import TokenLog
from isikit.objects import ObjectStore
from isikit.secrets import KeyRing
from support.memory_store import MemoryStore, MovableClock, StoredObject

DAY_SECONDS = 24 * 3600.0
LIFE = 600  # what every test asks for unless it says otherwise


@dataclass
class TokenApi:
    """CreateToken: every call gives another token. `failing` is answered instead while it is set."""

    clock: MovableClock
    life_seconds: float = DAY_SECONDS
    calls: int = 0
    failing: Callable[[], TokenError] | None = None

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        self.calls += 1
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing()
        return SpeechToken(f"{self.calls:032x}", self.clock.now() + self.life_seconds)


def throttled() -> TokenError:
    """The API's flow control."""
    return token_error(400, "Throttling.User")


@dataclass
class Account:
    """One account: its state bucket, its token API, and as many instances as a test wants."""

    clock: MovableClock = field(default_factory=MovableClock)
    store: MemoryStore = field(init=False)
    api: TokenApi = field(init=False)
    paused: float = 0.0

    def __post_init__(self) -> None:
        self.store = MemoryStore(clock=self.clock)
        self.api = TokenApi(self.clock)
        self.rotate_key(1)

    def rotate_key(self, version: int) -> None:
        """A new master key, which nothing old can be opened with."""
        master = base64.b64encode(bytes([version]) * 32).decode()
        body = json.dumps({"version": version, "master": master}).encode()
        self.store.objects["config/keys.json"] = StoredObject(body, "application/json", {}, self.clock.now())

    def instance(
        self,
        *,
        store: ObjectStore | None = None,
        fetch: Callable[[Deadline], Awaitable[SpeechToken]] | None = None,
        clock_off_seconds: float = 0.0,
        account: str = "own",
    ) -> TokenSource:
        """A cold one. Its pauses let others go, and move the clock to where they should have ended."""
        reached = store or self.store

        def now() -> float:
            return self.clock.now() + clock_off_seconds

        async def pause(seconds: float) -> None:
            self.paused += seconds
            until = self.clock.now() + seconds
            await asyncio.sleep(0)
            self.clock.move(max(0.0, until - self.clock.now()))  # others who paused meanwhile have moved it too

        log = TokenLog(reached, KeyRing(reached, clock=now), account)
        shared = SharedToken(log, f"instance-{random.random()}", now=now, pause=pause)
        fetcher = self.api if fetch is None else SimpleNamespace(fetch=fetch)
        return TokenSource(
            cast(Settings, None), cast(Credentials, None), fetcher=fetcher, shared=shared, now=now, sleep=pause
        )

    def journal(self, generation: int = 1, account: str = "own") -> list[dict[str, object]]:
        """The records of a journal."""
        found = self.store.objects.get(f"tokens/{account}/{generation:06d}.jsonl")
        return [] if found is None else [json.loads(line) for line in found.data.splitlines()]


def soon() -> Deadline:
    """A request's deadline."""
    return Deadline.after(30)
