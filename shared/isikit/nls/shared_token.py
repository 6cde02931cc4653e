"""One speech token per account for all instances of all functions: made once, sealed in a journal, read by the others.

CreateToken is throttled per account, and every instance that starts needs a token, often thirty at once. So a token is
looked for in the account's journal (`token_log`) first. If there is none that lives long enough, one instance takes the
journal's claim and makes it; the others look again until it is there, or until the claim of a dead holder has run out.

- A failure of the token API is recorded too. All rest before the next try (2 s, doubled to 30 s with every failure in a
  row), so that a throttled API is not hammered by instances in turn. Whoever has a token that lives goes on with it.
- A token that the speech service refused is marked; one instance makes the next one.
- Where the journal or the keys cannot be used, each instance makes a token of its own, as if it were alone.
- Times are judged by OSS's `Date`: an instance's clock may be wrong by minutes. `skew_seconds` says by how much.

Calls of CreateToken per token: one, plus one for each holder that died or lost its claim after the call, plus retries.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from isikit import claims, logs
from isikit.claims import Claim, ClaimLost
from isikit.errors import DeadlineExceeded, IsiError, PositionConflict, token_error_again
from isikit.host.context import Deadline
from isikit.nls.speech_token import SpeechToken
from isikit.nls.token_log import TokenLog, View
from isikit.storage_clock import StorageClock

T = TypeVar("T")
Make = Callable[[Deadline], Awaitable[SpeechToken]]
"""Makes a token by CreateToken, with its retries."""

CLAIM_SECONDS: Final = 8.0
"""How long others wait after a crash."""
MAKE_SECONDS: Final = 7.0  # of making, retries included: it ends before the claim does
JOURNAL_SECONDS: Final = 4.0  # for one read or append; then the journal counts as down
GOING_SECONDS: Final = 1.0  # to give the claim back when all who waited have gone
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 0.5
_OWN_TROUBLE: Final = (
    "pop.security_token_invalid",
    "pop.access_key_unknown",
    "pop.signature_mismatch",
    "pop.clock_skew",
    "credentials.missing",
    "deadline.exceeded",
)
"""Failures that say something about this instance or this call, nothing about the others'."""
_TOO_SLOW: Final = "pop.unreachable"


class _JournalDown(Exception):
    """The journal or the keys cannot be used now; `__cause__` says why."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a token must be.

    Parameters
    ----------
    min_life_seconds
        It must live that long; unless all of them are shorter, which the caller has to notice.
    ahead
        The caller has a token that lives long enough, and wants one that is young for that minimum, without waiting
        for anybody.
    refused
        Ids that the speech service refused.
    """

    min_life_seconds: float
    ahead: bool = False
    refused: Collection[str] = ()

    def accepts(self, token: SpeechToken, now: float) -> bool:
        """Whether that token will do at `now`. A refused one is accepted here, and then marked."""
        left = token.expires_at - now
        if self.ahead:
            return left > 0 and token.is_young(now, now, self.min_life_seconds)
        if left > 0 and token.is_young(now, now):
            # A young one that is too short shows how long they live: a new one would be no better.
            life = token.expires_at - (now if token.issued_at is None else token.issued_at)
            return left >= self.min_life_seconds or life < self.min_life_seconds
        return left >= self.min_life_seconds


class SharedToken:
    """The token of one account, over all instances. Used by one `TokenSource`.

    Parameters
    ----------
    log
        The account's journal.
    owner
        Who claims, for others to see.
    now, pause
        Epoch seconds of this machine, and sleeping: for tests.
    """

    def __init__(
        self,
        log: TokenLog,
        owner: str,
        *,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._log = log
        self._owner = owner
        self._now, self._pause = now, pause
        self._storage_clock = StorageClock(now)

    @property
    def skew_seconds(self) -> float:
        """What must be added to this machine's time to get OSS's; 0.0 while they agree within a request's duration."""
        return self._storage_clock.skew_seconds

    async def get(self, need: Need, make: Make, deadline: Deadline) -> SpeechToken | None:
        """The shared token; a new one where there is none that will do.

        Returns
        -------
        SpeechToken | None
            None only for a need `ahead`: somebody else renews it just now, or all rest after a failure.

        Raises
        ------
        TokenError
            It could not be made, here or (while all rest) by somebody else.
        DeadlineExceeded
            Somebody else has been making it all the time.
        StorageError, KeysUnavailable
            Only for a need `ahead`: nothing is made then, the caller has a token.
        """
        try:
            return await self._get(need, make, deadline)
        except _JournalDown as down:
            cause = down.__cause__ or down
            if need.ahead:
                raise cause if isinstance(cause, IsiError) else DeadlineExceeded("The token journal is slow.") from None
            logs.failure("token.unshared", cause, level="warning")
            return await make(deadline)

    async def _get(self, need: Need, make: Make, deadline: Deadline) -> SpeechToken | None:
        seconds = FIRST_PAUSE_SECONDS
        while True:
            deadline.check()
            view = await self._look()
            try:
                token = await self._offered(view, need)
                if token is not None:
                    return token
                if (resting := view.resting()) is not None:
                    if need.ahead:
                        return None
                    wait, error = resting.until - view.now, token_error_again(resting.code)
                    if wait >= deadline.remaining() or not error.retryable:
                        error.retry_after = max(1, round(wait)) if error.retryable else None
                        raise error
                    await self._pause(wait + random.uniform(0.0, FIRST_PAUSE_SECONDS))  # noqa: S311 - jitter
                    continue
                if view.full and claims.holder(view.snapshot) is None:
                    await self._journalled(self._log.close_full(view))
                    continue
                await self._journalled(self._log.ready())
                claim = await self._journalled(
                    claims.take_after(view.journal, view.snapshot, self._owner, CLAIM_SECONDS)
                )
            except PositionConflict:
                continue  # somebody wrote meanwhile: look again
            if isinstance(claim, Claim):
                return await self._make(claim, view, need, make, deadline)
            if need.ahead:
                return None
            await self._pause(min(seconds, deadline.remaining()) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            seconds = min(seconds * 1.5, LONGEST_PAUSE_SECONDS)

    async def _look(self) -> View:
        asked_at = self._now()
        view = await self._journalled(self._log.look())
        self._storage_clock.heard(view.now, asked_at)
        return view

    async def _offered(self, view: View, need: Need) -> SpeechToken | None:
        found = await self._journalled(self._log.newest(view, lambda token: need.accepts(token, view.now)))
        if found is None or found.token.id not in need.refused:
            return None if found is None else found.token
        await self._journalled(view.journal.append({"refused": found.nonce, "at": view.now}, view.snapshot))
        logs.event("token.refused", level="warning", expires_in=int(found.token.expires_at - view.now))
        raise PositionConflict  # ours: look again

    async def _make(self, claim: Claim, view: View, need: Need, make: Make, deadline: Deadline) -> SpeechToken:
        try:
            token = await make(deadline.sooner(MAKE_SECONDS))
        except IsiError as error:
            await self._give_back(claim, None if error.code in _OWN_TROUBLE else error.code)
            raise
        except asyncio.CancelledError:
            # Nobody waits any more. An API too slow for a renewal ahead is left alone by the others too, for a while.
            await self._give_back(claim, _TOO_SLOW if need.ahead else None, seconds=GOING_SECONDS)
            raise
        issued_at = claim.snapshot.server_time
        try:
            record = await self._journalled(self._log.sealed(token, issued_at))
            await self._journalled(claim.finish(record))
            await self._journalled(self._log.hint(view))
        except (ClaimLost, _JournalDown) as error:
            # It is a good token all the same. Others make theirs when the claim has run out.
            logs.failure("token.unshared", error.__cause__ or error, level="warning")
        logs.event("token.made", expires_in=int(token.expires_at - issued_at))
        return replace(token, issued_at=issued_at)

    async def _give_back(self, claim: Claim, failed: str | None, seconds: float = JOURNAL_SECONDS) -> None:
        at = self._storage_clock.now()
        try:
            await self._journalled(claim.finish({} if failed is None else {"failed": failed, "at": at}), seconds)
        except (ClaimLost, _JournalDown) as down:
            logs.failure("claim.kept", down.__cause__ or down, level="warning")  # it ends by itself

    async def _journalled(self, work: Awaitable[T], seconds: float = JOURNAL_SECONDS) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except (PositionConflict, ClaimLost):
            raise
        except (IsiError, TimeoutError) as error:
            raise _JournalDown from error
