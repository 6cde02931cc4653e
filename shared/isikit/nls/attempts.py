"""The one layer that tries again: a new token once, patience with a busy service, a few more tries after failures."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from isikit import logs
from isikit.errors import SpeechBusy, SpeechTokenRefused
from isikit.retry import RetryBudget, retrying

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken

T = TypeVar("T")

MIN_LIFE_SECONDS: Final = 30  # a token is checked when a task begins; no synthesis lasts longer than this
FIRST_PAUSE_SECONDS: Final = 0.3
LONGEST_PAUSE_SECONDS: Final = 3.0


class Tokens(Protocol):
    """Where tokens come from: a `TokenSource`."""

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        """A token that lives at least so long."""
        ...

    def invalidate(self, token_id: str) -> None:
        """Forget a token that was refused."""
        ...


class _Final(Exception):
    """Carries an error past `retrying`: it stays retryable for another request, but not for this one.

    The service says the same (401, 403) of a token, of an AppKey of another account, and of trouble of its own.
    """

    def __init__(self, error: SpeechTokenRefused) -> None:
        super().__init__()
        self.error = error


async def with_token(
    call: Callable[[SpeechToken], Awaitable[T]],
    *,
    operation: str,
    tokens: Tokens,
    deadline: Deadline,
    budget: RetryBudget,
    attempts: int = 2,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    min_life_seconds: int = MIN_LIFE_SECONDS,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Call the speech service with a token until it answers or trying makes no sense.

    Parameters
    ----------
    call
        One attempt; raises `SpeechError`.
    operation
        For the log: `nls.synthesis`, `nls.recognition`.
    budget
        Of retries after failures. Waiting for a busy service (40000005: refused before anything was spent) is not
        charged to it: the quota is shared with other instances and with leased clients, so everybody waits sometimes.
    attempts
        At most, the first one included; neither a new token nor waiting for a place counts.
    first_pause_seconds, longest_pause_seconds
        Before the second attempt, after a failure or at a busy service; they double up to the longest. Nobody listens
        while a recording is transcribed, so that it can wait longer than a prompt.
    min_life_seconds
        Of the token: longer than one call lasts.

    Raises
    ------
    SpeechError, TokenError
        The last attempt's. `SpeechTokenRefused` when a new token was refused too: retryable, with another request.
    DeadlineExceeded
    """
    renewed = False
    pauses = (first_pause_seconds, longest_pause_seconds)

    async def once() -> T:
        nonlocal renewed
        while True:
            token = await tokens.get(min_life_seconds, deadline)
            try:
                return await _patiently(functools.partial(call, token), operation, deadline, pauses, sleep)
            except SpeechTokenRefused as error:
                tokens.invalidate(token.id)
                if renewed:
                    raise _Final(error) from error  # a new token was refused too: it is not the token
                renewed = True
                logs.event("token.refused", level="warning", operation=operation, code=error.code)

    try:
        return await retrying(
            once,
            operation=operation,
            deadline=deadline,
            budget=budget,
            attempts=attempts,
            base_seconds=first_pause_seconds,
            cap_seconds=longest_pause_seconds,
            sleep=sleep,
        )
    except _Final as final:
        raise final.error from None


async def _patiently(
    call: Callable[[], Awaitable[T]],
    operation: str,
    deadline: Deadline,
    pauses: tuple[float, float],
    sleep: Callable[[float], Awaitable[object]],
) -> T:
    longest = pauses[0]
    while True:
        deadline.check()
        try:
            return await call()
        except SpeechBusy as error:
            # Half of the pause is left to chance, or all who were refused together would come back together.
            pause = random.uniform(longest / 2, longest)  # noqa: S311
            if pause >= deadline.remaining():
                raise
            logs.event("call.waited", operation=operation, code=error.code, wait_ms=round(pause * 1000, 1))
            longest = min(2 * longest, pauses[1])
        await sleep(pause)
