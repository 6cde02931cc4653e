"""A rate as it is written: `10/second`, `100/minute`, `5000/hour`, `20000/day`."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,6})/(second|minute|hour|day)\Z")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` requests in any `window_seconds`."""

    amount: int
    window_seconds: int


@functools.cache
def parse_rate(text: str) -> Rate:
    """Read a rate.

    Raises
    ------
    ValueError
        With what would be allowed.
    """
    match = _WRITTEN.match(text)
    if match is None:
        raise ValueError("a number from 1 to 9999999 per second, minute, hour or day: 100/minute")
    return Rate(int(match[1]), _SECONDS[match[2]])
