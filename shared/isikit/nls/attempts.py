"""The one layer that tries again: a new token once, patience with a busy service, one more try after a failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from isikit import logs
from isikit.errors import SpeechBusy, SpeechTokenRefused
from isikit.retry import RetryBudget, retrying

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken, TokenSource

T = TypeVar("T")

MIN_TOKEN_SECONDS: Final = 30  # a token is checked when a task begins; no task lasts longer than this
_FIRST_PAUSE: Final = 0.3
_LONGEST_PAUSE: Final = 3.0


class _Final(Exception):
    """Carries an error past `retrying`: retryable for another request, not for this one."""

    def __init__(self, error: SpeechTokenRefused) -> None:
        super().__init__()
        self.error = error


async def with_token(
    call: Callable[[SpeechToken], Awaitable[T]],
    *,
    operation: str,
    tokens: TokenSource,
    deadline: Deadline,
    budget: RetryBudget,
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

    Raises
    ------
    SpeechError, TokenError
        The last attempt's.
    DeadlineExceeded
    """
    renewed = False

    async def once() -> T:
        nonlocal renewed
        while True:
            token = await tokens.get(MIN_TOKEN_SECONDS, deadline)
            try:
                return await _patiently(call, token, operation, deadline, sleep)
            except SpeechTokenRefused as error:
                tokens.invalidate(token.id)
                if renewed:
                    raise _Final(error) from error  # a new token was refused too: it is not the token
                renewed = True
                logs.event("token.refused", level="warning", operation=operation, code=error.code)

    try:
        return await retrying(once, operation=operation, deadline=deadline, budget=budget, attempts=2, sleep=sleep)
    except _Final as final:
        raise final.error from None


async def _patiently(
    call: Callable[[SpeechToken], Awaitable[T]],
    token: SpeechToken,
    operation: str,
    deadline: Deadline,
    sleep: Callable[[float], Awaitable[object]],
) -> T:
    longest = _FIRST_PAUSE
    while True:
        deadline.check()
        try:
            return await call(token)
        except SpeechBusy as error:
            # Half of the pause is left to chance, or all who were refused together would come back together.
            pause = random.uniform(longest / 2, longest)  # noqa: S311
            if pause >= deadline.remaining():
                raise
            logs.event("call.waited", operation=operation, code=error.code, wait_ms=round(pause * 1000, 1))
            longest = min(2 * longest, _LONGEST_PAUSE)
        await sleep(pause)
