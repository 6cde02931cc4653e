"""Recognition that waits out trouble: nobody is on the line, so a recording can wait longer than a caller could.

The one layer that repeats calls of recognition. What still fails afterwards ends the attempt, and the platform
delivers the event again.

Retries keep to the layer's usual budget, a tenth of all calls. Waiting for a place at a busy service (40000005) is not
a retry: it was refused before anything was spent, the quota is shared with other instances and with leased clients,
and a batch has nothing better to do. So it is not charged to the budget and ends only with the deadline.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from isikit import logs
from isikit.errors import SpeechBusy, SpeechTokenRefused
from isikit.host.context import Deadline
from isikit.retry import RetryBudget, retrying

from functions.transcripts.recognise import Recognise

if TYPE_CHECKING:
    from isikit.nls.token import SpeechToken

OPERATION: Final = "nls.recognition"
TRIES: Final = 8  # after failures; for a place at a busy service there is no limit but the deadline
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
TOKEN_LIFE_SECONDS: Final = 120  # a call of at most 60 s of audio takes about 12 s

Once = Callable[[bytes, int, str, "SpeechToken", Deadline], Awaitable[str]]
"""(mono s16le, rate in Hz, AppKey, token, deadline) -> text, tried once."""


class _RefusedTwice(Exception):
    """Carries an error past `retrying`: worth another attempt on the recording, but not another call in this one."""

    def __init__(self, error: SpeechTokenRefused) -> None:
        super().__init__()
        self.error = error


class Tokens(Protocol):
    """Where tokens come from."""

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        """A token that lives at least so long."""
        ...

    def invalidate(self, token_id: str) -> None:
        """Forget a token that was refused."""
        ...


def patiently(once: Once, tokens: Tokens, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> Recognise:
    """Recognition with repetitions, all within the deadline.

    A refused token is dropped and a new one tried once. Refused again, it is not the token that is wrong: the service
    says the same (401, 403) of an AppKey of another account and of trouble of its own. So the attempt ends, and the
    next one asks again.
    """
    budget = RetryBudget()

    async def recognise(pcm: bytes, rate_hz: int, appkey: str, deadline: Deadline) -> str:
        refused = 0

        async def call() -> str:
            nonlocal refused
            token = await tokens.get(TOKEN_LIFE_SECONDS, deadline)
            try:
                return await _in_turn(lambda: once(pcm, rate_hz, appkey, token, deadline), deadline, pause)
            except SpeechTokenRefused as error:
                tokens.invalidate(token.id)
                refused += 1
                if refused > 1:
                    raise _RefusedTwice(error) from error
                raise

        try:
            return await retrying(
                call,
                operation=OPERATION,
                deadline=deadline,
                budget=budget,
                attempts=TRIES,
                base_seconds=FIRST_PAUSE_SECONDS,
                cap_seconds=LONGEST_PAUSE_SECONDS,
                sleep=pause,
            )
        except _RefusedTwice as twice:
            raise twice.error from None

    return recognise


async def _in_turn(
    call: Callable[[], Awaitable[str]], deadline: Deadline, pause: Callable[[float], Awaitable[object]]
) -> str:
    """Call until there is a place."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except SpeechBusy as error:
            # Half of the pause is left to chance, or all who were refused together would come back together.
            seconds = random.uniform(longest / 2, longest)  # noqa: S311
            if seconds >= deadline.remaining():
                raise
            logs.event("call.waited", operation=OPERATION, code=error.code, wait_ms=round(seconds * 1000, 1))
            longest = min(2 * longest, LONGEST_PAUSE_SECONDS)
        await pause(seconds)
