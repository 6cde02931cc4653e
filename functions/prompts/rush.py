"""A rush on one new prompt: one instance works, the others wait for what it publishes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from isikit import claims, logs
from isikit.claims import Claim, ClaimLost
from isikit.errors import IsiError, PositionConflict
from isikit.host.context import Deadline
from isikit.journal import Journal, Snapshot

T = TypeVar("T")
Release = Callable[[], Awaitable[None]]

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
    snapshot: Snapshot,
    ready: Callable[[], Awaitable[T | None]],
    work: Callable[[Release], Awaitable[T]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[T, bool]:
    """Do `work` under the journal's claim, unless somebody else did it meanwhile.

    Parameters
    ----------
    owner
        Who asks, for others to see.
    deadline
        Until when to wait for others.
    snapshot
        The journal, read while the caller looked for the result and found none.
    ready
        Looks for the result of somebody's work.
    work
        Makes it, and may give the claim back itself once the result is there for others. The result must be safe
        against a second worker (first writer wins): an owner can freeze for longer than its claim lives.

    Returns
    -------
    (result, whether this call did the work)

    Raises
    ------
    DeadlineExceeded
        Somebody else has been working all the time.
    """
    seconds = FIRST_PAUSE_SECONDS
    # A look counts when it began after the journal was read: the claim is then taken only if nobody else had one
    # since, so nobody has finished since. Where nobody ever had one, the caller's own look is good enough.
    if snapshot.records and (found := await ready()) is not None:
        return found, False
    while True:
        with contextlib.suppress(PositionConflict):
            claim = await claims.take_after(journal, snapshot, owner, CLAIM_SECONDS)
            if isinstance(claim, Claim):
                break
            deadline.check()
            await pause(min(seconds, deadline.remaining()) * (0.5 + random.random()))  # noqa: S311 - jitter
            seconds = min(seconds * 1.5, LONGEST_PAUSE_SECONDS)
        snapshot = await journal.read()
        if (found := await ready()) is not None:
            return found, False
    async with _renewed(claim, pause) as release:
        return await work(release), True


@contextlib.asynccontextmanager
async def _renewed(claim: Claim, pause: Callable[[float], Awaitable[None]]) -> AsyncIterator[Release]:
    """Keep the claim until the block gives it back or, whatever became of it, ends."""
    renewing = asyncio.create_task(_renew(claim, pause))
    is_released = False

    async def release() -> None:
        nonlocal is_released
        renewing.cancel()
        await asyncio.wait((renewing,))
        try:
            await claim.release()
        except IsiError as error:
            logs.failure("claim.kept", error, level="warning")  # it ends by itself
        is_released = True

    try:
        yield release
    finally:
        if not is_released:
            await release()


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
