"""A rush on one new prompt: one instance works, the others wait for what it publishes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from isikit import claims, logs
from isikit.claims import Claim, ClaimLost
from isikit.errors import IsiError
from isikit.host.context import Deadline
from isikit.journal import Journal

T = TypeVar("T")

CLAIM_SECONDS: Final = 15.0
"""How long others wait after a crash."""
RENEW_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 0.5


async def alone(
    journal: Journal,
    owner: str,
    deadline: Deadline,
    *,
    ready: Callable[[], Awaitable[T | None]],
    work: Callable[[], Awaitable[T]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[T, bool]:
    """Do `work` under the journal's claim, unless somebody else did it meanwhile.

    Parameters
    ----------
    owner
        Who asks, for others to see.
    deadline
        Until when to wait for others.
    ready
        Looks for the result of somebody's work.
    work
        Makes it. Its result must be safe against a second worker (first writer wins): an owner can freeze for longer
        than its claim lives.

    Returns
    -------
    (result, whether this call did the work)

    Raises
    ------
    DeadlineExceeded
        Somebody else has been working all the time.
    """
    seconds = FIRST_PAUSE_SECONDS
    while True:
        claim = await claims.take(journal, owner, CLAIM_SECONDS)
        if isinstance(claim, Claim):
            break
        deadline.check()
        await pause(min(seconds, deadline.remaining()) * (0.5 + random.random()))  # noqa: S311 - jitter
        seconds = min(seconds * 1.5, LONGEST_PAUSE_SECONDS)
        if (found := await ready()) is not None:
            return found, False
    async with _renewed(claim, pause):
        # Between the last look and the claim somebody may have finished.
        if (found := await ready()) is not None:
            return found, False
        return await work(), True


@contextlib.asynccontextmanager
async def _renewed(claim: Claim, pause: Callable[[float], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep the claim while the block runs and give it back afterwards, whatever became of the block."""
    renewing = asyncio.create_task(_renew(claim, pause))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait((renewing,))
        try:
            await claim.release()
        except IsiError as error:
            logs.failure("claim.kept", error, level="warning")  # it ends by itself


async def _renew(claim: Claim, pause: Callable[[float], Awaitable[None]]) -> None:
    while True:
        await pause(RENEW_SECONDS)
        try:
            await claim.renew(CLAIM_SECONDS)
        except ClaimLost as error:
            logs.failure("claim.lost", error, level="warning")
            return
        except IsiError as error:
            logs.failure("claim.not_renewed", error, level="warning")  # there is time for two more tries
