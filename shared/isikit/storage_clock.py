"""Wall time as OSS has it: what absolute times are judged by, because an instance's own clock may be minutes off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MOST_SECONDS: Final = 960.0
"""OSS refuses requests signed by a clock that is more than 15 minutes off: an answer that says so is damaged."""


class StorageClock:
    """A clock that is set by answers of OSS and goes on with this machine's between them, frozen or not.

    The first answer counts at once; before it, this is the machine's clock.

    Parameters
    ----------
    clock
        This machine's wall time, epoch seconds.

    Attributes
    ----------
    skew_seconds
        What is added to this machine's time; 0.0 while both agree within the duration of a request.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.skew_seconds = 0.0
        self._clock = clock

    def now(self) -> float:
        """Epoch seconds by OSS's clock, right to about a second."""
        return self._clock() + self.skew_seconds

    def heard(self, server_time: float, asked_at: float) -> None:
        """Learn from an answer that has just come.

        Parameters
        ----------
        server_time
            Its `Date`, whole seconds since the epoch. An absurd one is ignored.
        asked_at
            When it was asked for, by this machine's clock.
        """
        # OSS's time was between Date and Date + 1 (it is cut off) at some moment between question and answer. What is
        # believed already is changed as little as that demands, so that a slow answer does not make the clock jump.
        earliest, latest = server_time - self._clock(), server_time + 1 - asked_at
        skew_seconds = max(earliest, min(self.skew_seconds, latest))
        if abs(skew_seconds) <= MOST_SECONDS:
            self.skew_seconds = skew_seconds
