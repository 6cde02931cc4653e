"""How many calls this instance has at the speech service at once, when nobody tells it how many others there are.

The quota is the account's: all instances share it, and with clients that hold leases. A fixed share would have to be
the quota divided by the most instances there can ever be. Instead each instance feels its way (additive increase,
multiplicative decrease, as TCP does): it begins with few, adds one after a while of calls that went well though others
waited, and takes back a fifth, at least one, when the service says 40000005. Then it holds still for a minute. A call
that was refused gives its place back and queues again, so that the same excess is not refused twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from isikit import logs
from isikit.errors import DeadlineExceeded, SpeechBusy

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.synthesis import Pcm, Speaker, Utterance
    from isikit.nls.token import SpeechToken

FIRST_SHARE: Final = 4
"""Begins with the most it may have divided by that, and at least with two."""
STEP: Final = 4
"""Calls that went well in each place, while others waited, before one more is tried: the more, the slower."""
PAUSE_SECONDS: Final = 10.0
"""At least, between two that are tried: others try as well."""
HOLD_SECONDS: Final = 60.0
"""After a refusal."""


class Places:
    """Places at the speech service, given in the order of asking.

    Parameters
    ----------
    most
        Never more than these: `ISI_NLS_CONCURRENCY`.
    clock
        Wall time in seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._limit = min(most, max(2, most // FIRST_SHARE))
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._went_well = 0
        self._changed_at = clock()
        self._hold_seconds = PAUSE_SECONDS

    @property
    def limit(self) -> int:
        """How many there are now."""
        return self._limit

    def locked(self) -> bool:
        """Whether one more would have to wait."""
        return self._taken >= self._limit or bool(self._waiting)

    async def acquire(self) -> None:
        """Wait for a place and take it."""
        if not self.locked():
            self._taken += 1
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        try:
            await given
        except asyncio.CancelledError:
            if not given.cancelled():
                self.release()  # it was given in the same moment
            elif given in self._waiting:
                self._waiting.remove(given)
            raise

    def release(self) -> None:
        """Give a place back."""
        self._taken -= 1
        self._give()

    def went_well(self) -> None:
        """The service took a call. Only where others wait does that say that more places would be of use."""
        if not self._waiting or self._limit >= self._most or self._is_held():
            return
        self._went_well += 1
        if self._went_well >= STEP * self._limit:
            self._change(self._limit + 1, PAUSE_SECONDS)
            self._give()

    def was_refused(self) -> None:
        """The service had no place for a call: the account's are all taken."""
        self._change(max(1, min(self._limit - 1, self._limit * 4 // 5)), HOLD_SECONDS)
        logs.event("places.reduced", count=self._limit)

    def _change(self, limit: int, hold_seconds: float) -> None:
        self._limit, self._hold_seconds = limit, hold_seconds
        self._went_well, self._changed_at = 0, self._clock()

    def _is_held(self) -> bool:
        return 0 <= self._clock() - self._changed_at < self._hold_seconds

    def _give(self) -> None:
        while self._waiting and self._taken < self._limit:
            given = self._waiting.popleft()
            if not given.done():  # else its waiter has gone
                self._taken += 1
                given.set_result(None)


class Placed:
    """A `Speaker` for one utterance whose first place is taken already; its retries take theirs in turn.

    Parameters
    ----------
    speaker
        The transport.
    places
        One of them is the caller's. `close` gives back what is held then.
    """

    def __init__(self, speaker: Speaker, places: Places) -> None:
        self._speaker = speaker
        self._places = places
        self._has_place = True

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """See `Speaker.speak`.

        Raises
        ------
        DeadlineExceeded
            A call was refused, and no place came free until the deadline.
        """
        if not self._has_place:
            try:
                async with asyncio.timeout(deadline.remaining()):
                    await self._places.acquire()
            except TimeoutError as error:
                raise DeadlineExceeded from error
            self._has_place = True
        try:
            spoken = await self._speaker.speak(utterance, token, deadline)
        except SpeechBusy:
            self._places.was_refused()
            await self.close()
            raise
        self._places.went_well()
        return spoken

    async def close(self) -> None:
        """Give the place back; the transport stays open, it is everybody's."""
        if self._has_place:
            self._has_place = False
            self._places.release()
