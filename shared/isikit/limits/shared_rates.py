"""Rates counted in Redis, over all instances; what happens while Redis does not answer is the deployment's choice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from isikit import logs
from isikit.errors.tree import Allowance
from isikit.limits.quotas import WhenDown
from isikit.limits.rate import Rate
from isikit.limits.rates import MemoryRates
from isikit.limits.refusal import LimitsUnavailable

if TYPE_CHECKING:
    from isikit.limits.windows import Counter

ATTEMPT_SECONDS: Final = 0.04
"""For one look at Redis. In one network it takes less than 1 ms; a new connection with TLS some more."""
ATTEMPTS: Final = 2
"""The first may meet a connection that died while the instance was frozen."""
BREAK_SECONDS: Final = 5.0
"""After a failure nobody waits for Redis for so long; then one request tries again."""
CONNECTIONS: Final = 16


class SharedRates:
    """Rates of all instances together. The windows turn by Redis's clock, never by an instance's.

    Nobody waits longer than 80 ms for Redis, and after a failure nobody waits at all for 5 s.

    Parameters
    ----------
    url
        `redis://` or `rediss://`.
    when_down
        While Redis does not answer: `open`, each instance counts for itself; `closed`, 503 `limit.unavailable`.
    clock
        Wall time in seconds: a frozen instance's break is over when it thaws.
    """

    def __init__(self, url: str, when_down: WhenDown = "open", *, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._when_down = when_down
        self._clock = clock
        self._alone = MemoryRates()
        self._down_until = 0.0
        self._counter: Counter | None = None
        self._pool: Any = None
        self._turns = asyncio.Semaphore(CONNECTIONS)  # so that the time runs only for who has a connection
        self._failures: tuple[type[BaseException], ...] = (OSError, TimeoutError)

    async def hit(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance]:
        """See `Rates.hit`.

        Raises
        ------
        LimitsUnavailable
            Redis does not answer, and `when_down` is `closed`.
        """
        if self._clock() < self._down_until:
            return await self._without(tenant_id, name, rate)
        tries = self._down_until > 0
        if tries:
            self._down_until = self._clock() + BREAK_SECONDS  # while this one tries, nobody else waits
        async with self._turns:
            fell_silent = self._down_until > 0 and not tries  # while we waited for our turn
            answer = None if fell_silent else await self._with(tenant_id, name, rate)
        if answer is None:
            return await self._without(tenant_id, name, rate)
        if self._down_until:
            self._down_until = 0.0
            logs.event("redis.reached")
        return answer

    async def close(self) -> None:
        """Drop all connections."""
        if self._pool is not None:
            await self._pool.disconnect()

    async def _with(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance] | None:
        """Redis's answer, or None where there was none; the break has begun then."""
        counter = self._counter or self._connect()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    return await counter.hit(tenant_id, name, rate)
            except self._failures as error:
                await self._pool.disconnect(inuse_connections=False)
                if attempt == ATTEMPTS:
                    if not self._down_until:
                        logs.failure("redis.unreachable", error, state=self._when_down)
                    self._down_until = self._clock() + BREAK_SECONDS
        return None

    async def _without(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance]:
        if self._when_down == "closed":
            raise LimitsUnavailable
        return await self._alone.hit(tenant_id, name, rate)

    def _connect(self) -> Counter:
        import redis.asyncio
        from limits.aio.storage import RedisStorage
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from isikit.limits.windows import Counter

        self._failures = (redis.RedisError, OSError, TimeoutError)
        self._pool = redis.asyncio.ConnectionPool.from_url(
            self._url,
            max_connections=CONNECTIONS,
            socket_timeout=ATTEMPT_SECONDS,
            socket_connect_timeout=ATTEMPT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # by default it tries ten times, for seconds
        )
        storage = RedisStorage(
            f"async+{self._url}", implementation="redispy", key_prefix="isi-rates", connection_pool=self._pool
        )
        self._counter = Counter(storage)
        return self._counter
