"""Rates counted in this instance's memory.

The strategy is the sliding window counter of the `limits` library: two numbers per tenant and rate whatever the rate
is, where a moving window keeps a time for every request. It errs by what a smooth flow in the window before would have
been.
"""

from __future__ import annotations

import functools
import math
import time
from typing import TYPE_CHECKING, Protocol

from isikit.errors.tree import Allowance
from isikit.limits.rate import Rate

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage import Storage
    from limits.aio.strategies import SlidingWindowCounterRateLimiter


class Rates(Protocol):
    """Where requests are counted."""

    async def hit(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance]:
        """Count one request if there is room for it: whether there was, and what is left."""


class MemoryRates:
    """Rates of this instance alone: with `n` instances a tenant may have up to `n` times as much.

    A request costs about 15 microseconds, no thread and no I/O.
    """

    def __init__(self) -> None:
        self._limiter: SlidingWindowCounterRateLimiter | None = None

    async def hit(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance]:
        """See `Rates.hit`."""
        if self._limiter is None:
            from limits.aio.storage import MemoryStorage

            self._limiter = limiter(MemoryStorage())
        return await hit(self._limiter, tenant_id, name, rate)


def limiter(storage: Storage) -> SlidingWindowCounterRateLimiter:
    """The strategy over a storage."""
    from limits.aio.strategies import SlidingWindowCounterRateLimiter

    return SlidingWindowCounterRateLimiter(storage)


async def hit(
    strategy: SlidingWindowCounterRateLimiter, tenant_id: str, name: str, rate: Rate
) -> tuple[bool, Allowance]:
    """Count one request in the library's terms."""
    item = _item(rate)
    admitted = await strategy.hit(item, tenant_id, name)
    stats = await strategy.get_window_stats(item, tenant_id, name)
    # The next whole second after that moment, not at it: there the window's weight is still what it was.
    reset = max(0, math.floor(stats.reset_time - time.time())) + 1
    return admitted, Allowance(rate.amount, rate.window_seconds, stats.remaining if admitted else 0, reset)


@functools.cache
def _item(rate: Rate) -> RateLimitItem:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(rate.amount, rate.window_seconds)
