"""Trying again: in one layer only, with jitter, within the deadline, and never more than a tenth of all calls.

Without the budget, retries multiply the load just when a service is short of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from isikit import logs
from isikit.errors.tree import IsiError
from isikit.host.context import Deadline

T = TypeVar("T")


class RetryBudget:
    """Every call pays in a share of a retry, every retry takes out a whole one. One per service and process.

    Parameters
    ----------
    share
        Retries per call, in the long run.
    reserve
        Retries that may be saved up, and that are there at start, so that the first failures are retried too.
    """

    def __init__(self, share: float = 0.1, reserve: float = 10.0) -> None:
        self._share = share
        self._reserve = reserve
        self._saved = reserve

    def called(self) -> None:
        """Count a first attempt."""
        self._saved = min(self._reserve, self._saved + self._share)

    def take(self) -> bool:
        """Take out one retry; False when there is none left."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    operation: str,
    deadline: Deadline,
    budget: RetryBudget,
    attempts: int = 3,
    base_seconds: float = 0.1,
    cap_seconds: float = 2.0,
    at_once: Collection[str] = (),
    jitter: Callable[[float, float], float] = random.uniform,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Call until it succeeds, fails for good, or trying again makes no sense any more.

    Parameters
    ----------
    call
        Makes one attempt; must be safe to repeat.
    operation
        Names it in the log, for example `oss.PutObject`.
    deadline
        Checked before every attempt. When the pause would outlast it, the error is raised at once.
    budget
        Shared by all calls to one service.
    attempts
        At most, the first one included.
    base_seconds, cap_seconds
        The pause before attempt n is drawn from 0 to base x 2^(n-2), at most cap ("full jitter"), and comes on top of
        the error's `retry_after`, so that all who were told the same do not come back together.
    at_once
        Codes of errors whose `retry_after` is for our callers, not for us: a broken connection says nothing about the
        service's load.

    Raises
    ------
    IsiError
        The last attempt's error; `DeadlineExceeded` when there was no time for the first.
    """
    budget.called()
    attempt = 1
    while True:
        deadline.check()
        try:
            return await call()
        except IsiError as error:
            if not error.retryable or attempt >= attempts:
                raise
            told = 0 if error.code in at_once else error.retry_after or 0
            pause = told + jitter(0.0, min(cap_seconds, base_seconds * 2 ** (attempt - 1)))
            if pause >= deadline.remaining() or not budget.take():
                raise
            attempt += 1
            logs.event(
                "call.retried",
                level="warning",
                operation=operation,
                attempt=attempt,
                code=error.code,
                upstream_code=error.upstream_code,
                wait_ms=round(pause * 1000, 1),
            )
        await sleep(pause)
