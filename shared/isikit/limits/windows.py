"""The `limits` library's sliding window counter, in its own terms; in memory on a storage of two numbers a key.

The library's own memory storage looks through all keys with every request, to drop those that have expired: that costs
a request of one tenant the more the more tenants there are. Here a key's numbers are put right when it is asked for.

Imports limits: import this module where the first request is counted.
"""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.storage.base import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from isikit.errors.tree import Allowance
from isikit.limits.rate import Rate


class Counter:
    """Counts requests in a storage.

    Parameters
    ----------
    storage
        One of the library's, or `WindowStorage`.
    """

    def __init__(self, storage: Storage) -> None:
        self._strategy = SlidingWindowCounterRateLimiter(storage)

    async def hit(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance]:
        """See `Rates.hit`."""
        item = _item(tenant_id, name, rate.amount, rate.window_seconds)
        admitted = await self._strategy.hit(item)
        stats = await self._strategy.get_window_stats(item)
        seconds = max(0.0, stats.reset_time - time.time())
        return admitted, _allowance(rate, stats.remaining if admitted else 0, seconds)


class MemoryCounter:
    """Counts requests in memory as `Counter` does with the same storage, in one look instead of four."""

    def __init__(self) -> None:
        self._storage = WindowStorage()

    async def hit(self, tenant_id: str, name: str, rate: Rate) -> tuple[bool, Allowance]:
        """See `Rates.hit`."""
        item = _item(tenant_id, name, rate.amount, rate.window_seconds)
        admitted, remaining, seconds = self._storage.count(item.key_for(), rate.amount, rate.window_seconds)
        return admitted, _allowance(rate, remaining if admitted else 0, seconds)


def _allowance(rate: Rate, remaining: int, seconds: float) -> Allowance:
    # The next whole second after that moment, not at it: there the window's weight is still what it was.
    return Allowance(rate.amount, rate.window_seconds, remaining, math.floor(seconds) + 1)


class _Item(RateLimitItemPerSecond):
    """A rate of one tenant. Its key is written once: the library writes it anew for every look."""

    __slots__ = ("_key",)

    def __init__(self, amount: int, window_seconds: int, tenant_id: str, name: str) -> None:
        super().__init__(amount, window_seconds)
        self._key = super().key_for(tenant_id, name)

    def key_for(self, *_: bytes | str | float) -> str:
        return self._key


@functools.lru_cache(8192)
def _item(tenant_id: str, name: str, amount: int, window_seconds: int) -> _Item:
    return _Item(amount, window_seconds, tenant_id, name)


@dataclass(slots=True)
class _Windows:
    """A key's counts: of the window that was counted in last, and of the one before it."""

    number: int = -1
    previous: int = 0
    current: int = 0

    def turn_to(self, number: int) -> None:
        """Make `number` the current window."""
        self.previous = self.current if number == self.number + 1 else 0
        self.number, self.current = number, 0


class WindowStorage(MemoryStorage):
    """Sliding windows of this instance: the library's rule and its results, in constant time.

    There is one entry for each rate of a tenant, for as long as the instance lives.
    """

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, _Windows] = {}

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` if the weighted count of both windows leaves room for it."""
        return self.count(key, limit, expiry, amount)[0]

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """(count of the window before, seconds it still weighs, count of this window, seconds it will be known)."""
        windows, left = self._at_now(key, expiry)
        return windows.previous, left if windows.previous else 0.0, windows.current, left + expiry

    def count(self, key: str, limit: int, expiry: int, amount: int = 1) -> tuple[bool, int, float]:
        """Count `amount` if there is room for it.

        Returns
        -------
        tuple[bool, int, float]
            Whether there was, and what the library's `get_window_stats` says then: what is left, and the seconds until
            there is more.
        """
        windows, left = self._at_now(key, expiry)
        previous = windows.previous
        used = math.floor(previous * left / expiry + windows.current)
        admitted = used + amount <= limit
        if admitted:
            windows.current += amount
            used += amount
        if previous:
            seconds = min(left % (expiry / previous), left if windows.current else math.inf)
        else:
            seconds = left if windows.current else 0.0
        return admitted, max(0, limit - used), seconds

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget what was counted."""
        self._windows.pop(key, None)

    def _at_now(self, key: str, expiry: int) -> tuple[_Windows, float]:
        """The counts as they are now, and the seconds left of the current window."""
        number, gone = divmod(time.time(), expiry)
        windows = self._windows.get(key)
        if windows is None:
            windows = self._windows[key] = _Windows()
        if windows.number != number:
            windows.turn_to(int(number))
        return windows, expiry - gone
