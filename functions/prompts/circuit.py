"""A circuit breaker in front of the speech service, one per instance: while the service is down nobody waits for it.

Closed, every call goes through. After five failures in a row it is open: calls are refused at once. When the pause is
over, one call is the probe, and the others wait for its outcome. A probe that fails doubles the pause; one that
succeeds lets calls through again, for the first minute at no more than the rate from before the outage and a bit:
everybody who was refused comes back now, and a service that just got up is not to be knocked over.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from isikit import logs
from isikit.errors import DeadlineExceeded, IsiError, Overloaded, SpeechBusy, SpeechUnavailable
from isikit.host.context import Deadline
from isikit.nls.synthesis import Pcm, Speaker, Utterance, expected_ms
from isikit.nls.token import SpeechToken

FAILURES: Final = 5
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 30.0
SLOW_SECONDS: Final = 5.0
"""A call that was given up after that long says that the service hangs; sooner, only that its caller was impatient."""
SLOW_SHARE: Final = 0.25
"""Of how long its audio plays: so long a call may take before that counts. Or one request for a long text, given up by
one tenant, would be several failures in a row of a service that works, and pause it for all tenants."""
WINDOW_SECONDS: Final = 60.0
"""What the normal rate is taken from, and how long after an outage it is kept to."""
RECOVERY_SHARE: Final = 1.5
LEAST_RATE: Final = 0.5
"""Calls a second that are let through after an outage however few there were before."""
LONGEST_DELAY_SECONDS: Final = 5.0


class SpeechPaused(SpeechUnavailable):
    """The speech service was down a moment ago, and is left alone."""

    code = "nls.paused"
    title = "The speech service is down"
    advice = "Try again after Retry-After; nothing was spent. What is cached goes on playing."
    retryable = False  # by ourselves


class Circuit:
    """A `Speaker` that stops asking a service that is down.

    Parameters
    ----------
    speaker
        The transport. Each of its calls is counted by itself, retries too.
    clock
        Wall time in seconds: while the instance is frozen, the outage may end.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._speaker = speaker
        self._clock = clock
        self._pause = pause
        self._begun_at = clock()
        self._starts: deque[float] = deque()
        self._failures = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._open_until: float | None = None
        self._probe: asyncio.Event | None = None
        self._recovered_at: float | None = None
        self._rate = 0.0
        self._next_at = 0.0

    def check(self) -> None:
        """Raise `SpeechPaused` where a call would be refused now; before anything is written for it."""
        if self._open_until is not None and (left := self._left()) > 0:
            raise SpeechPaused(retry_after=math.ceil(left))

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """See `Speaker.speak`.

        Raises
        ------
        SpeechPaused
            The service was not asked.
        """
        probe = await self._admitted(deadline)
        begun_at = self._clock()
        self._counted(begun_at)
        try:
            spoken = await self._speaker.speak(utterance, token, deadline)
        except IsiError as error:
            self._judge(error, utterance, begun_at, probe)
            raise
        except asyncio.CancelledError:
            self._judge(None, utterance, begun_at, probe)
            raise
        else:
            self._worked(probe)
            return spoken
        finally:
            if probe is not None:
                self._probe = None
                probe.set()

    async def close(self) -> None:
        """See `Speaker.close`."""
        await self._speaker.close()

    async def _admitted(self, deadline: Deadline) -> asyncio.Event | None:
        """Wait until a call may be made; the event is set by the probe when it is over, None for any other call."""
        while self._open_until is not None:
            self.check()
            if self._probe is None:
                self._probe = asyncio.Event()
                return self._probe
            try:
                async with asyncio.timeout(deadline.remaining()):
                    await self._probe.wait()
            except TimeoutError as error:
                raise DeadlineExceeded from error
        await self._slowly(deadline)
        return None

    async def _slowly(self, deadline: Deadline) -> None:
        """In the first minute after an outage: one after another, at the rate from before."""
        now = self._clock()
        if self._recovered_at is None or not 0 <= now - self._recovered_at < WINDOW_SECONDS:
            self._recovered_at = None
            return
        delay = max(0.0, self._next_at - now)
        if delay > min(LONGEST_DELAY_SECONDS, deadline.remaining()):
            raise SpeechPaused(retry_after=math.ceil(delay))
        self._next_at = max(now, self._next_at) + 1 / self._rate
        if delay:
            await self._pause(delay)

    def _counted(self, now: float) -> None:
        self._starts.append(now)
        while self._starts and not 0 <= now - self._starts[0] < WINDOW_SECONDS:
            self._starts.popleft()

    def _judge(
        self, error: IsiError | None, utterance: Utterance, begun_at: float, probe: asyncio.Event | None
    ) -> None:
        """Failed, worked, or neither: a busy service is not down, and neither is one whose caller went away."""
        if isinstance(error, (SpeechBusy, Overloaded)):
            return
        if error is None or isinstance(error, DeadlineExceeded):
            plays_seconds = expected_ms(utterance.text, utterance.speech_rate, utterance.is_ssml) / 1000
            if self._clock() - begun_at >= max(SLOW_SECONDS, SLOW_SHARE * plays_seconds):
                self._failed(probe)
        elif isinstance(error, SpeechUnavailable):
            self._failed(probe)
        else:
            self._worked(probe)  # it answered, if only to refuse

    def _failed(self, probe: asyncio.Event | None) -> None:
        self._failures += 1
        if self._open_until is not None:
            if probe is None:
                return  # begun before it opened: says nothing new
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        elif self._failures < FAILURES:
            return
        else:
            if self._recovered_at is None:  # or the last outage would be taken for the normal rate
                lived = min(WINDOW_SECONDS, max(10.0, self._clock() - self._begun_at))
                self._rate = max(LEAST_RATE, RECOVERY_SHARE * (len(self._starts) - FAILURES) / lived)
            self._pause_seconds = FIRST_PAUSE_SECONDS
        self._open_until = self._clock() + self._pause_seconds
        logs.event("circuit.opened", level="warning", state="open", wait_ms=self._pause_seconds * 1000)

    def _worked(self, probe: asyncio.Event | None) -> None:
        self._failures = 0
        if self._open_until is None or probe is None:
            return
        self._open_until = None
        self._recovered_at = self._clock()
        self._next_at = self._clock() + 1 / self._rate
        logs.event("circuit.closed", state="closed")

    def _left(self) -> float:
        """Seconds until the next probe; a clock that was set back does not keep the circuit open for longer."""
        left = (self._open_until or 0.0) - self._clock()
        return left if left <= LONGEST_PAUSE_SECONDS else 0.0
