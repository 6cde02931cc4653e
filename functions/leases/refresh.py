"""When a client should come for its next lease.

All clients of an account share one token, so they would all come in the same second: each gets its own moment. It lies
in the ninth tenth of the lease's life, when the service has renewed its token (it does so in the last fifth), and
before the life that is left falls below the tenant's minimum.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

LATEST_SHARE: Final = 0.9  # of the life that is left
EARLIEST: Final = 8 / 9  # of the latest moment
SOON_SECONDS: Final = 60  # when there is nothing to wait for: the token API is out, and this lease is the last one


def refresh_in(expires_in: int, min_life_seconds: int, chance: Callable[[], float] = random.random) -> int:
    """Whole seconds after which to come again, 1 at least and less than `expires_in`.

    Parameters
    ----------
    expires_in
        The lease's life in seconds, not less than `min_life_seconds`.
    min_life_seconds
        The tenant's minimum; a lease is renewed before it has less, unless there was hardly more to begin with.
    chance
        0 to 1.
    """
    latest = min(expires_in * LATEST_SHARE, expires_in - min_life_seconds)
    moment = max(latest, min(SOON_SECONDS, expires_in / 2))
    return max(1, int(moment * (EARLIEST + (1 - EARLIEST) * chance())))
