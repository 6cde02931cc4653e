"""Wall time for every service, movable by tests (`POST /clock`), so that expiry is proved without waiting."""

from __future__ import annotations

import time
from email.utils import formatdate


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
        """Advance by `seconds` (must not be negative: real clocks do not run backwards for long)."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._offset += seconds

    def http_date(self) -> str:
        """The `Date` header, RFC 9110 in GMT."""
        return formatdate(self.now(), usegmt=True)
