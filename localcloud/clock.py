"""Wall time for every service, movable by tests (`POST /clock`), so that expiry is proved without waiting."""

from __future__ import annotations

import time
from email.utils import formatdate

_FURTHEST_SECONDS = 50 * 366 * 86400


class Clock:
    """Seconds since the epoch plus an offset that only moves forward.

    Tokens, credentials, lifecycle rules and claims are all judged by this one clock.
    """

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the services see it."""
        return time.time() + self._offset

    @staticmethod
    def client_now() -> float:
        """Seconds since the epoch as clients on this machine see it, never moved.

        A signature's time stamp is judged by it: clients cannot follow `move`, and every one of them would be refused
        for a wrong clock.
        """
        return time.time()

    def move(self, seconds: float) -> None:
        """Advance by `seconds`: not backwards (real clocks do not, for long), and not beyond this century."""
        if not 0 <= seconds <= _FURTHEST_SECONDS - self._offset:
            raise ValueError("the clock only moves forward, and by fifty years at the most")
        self._offset += seconds

    def http_date(self) -> str:
        """The `Date` header, RFC 9110 in GMT."""
        return formatdate(self.now(), usegmt=True)
