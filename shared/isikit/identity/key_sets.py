"""The key sets of token issuers, kept for a while: asked for inside requests, never in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from isikit import logs
from isikit.config import Settings
from isikit.errors.tree import IssuerUnavailable
from isikit.host import context
from isikit.identity import jwk
from isikit.identity.fetching import FetchError, fetch
from isikit.identity.jwk import Algorithm, VerifyKey

LIFE_SECONDS = 600.0
"""How long a set is believed unasked: a key that the issuer withdrew serves that much longer."""
DOWN_SECONDS = 3600.0
"""How long a set serves while the issuer cannot be reached, from when it was fetched."""
UNKNOWN_SECONDS = 60.0
"""Between two fetches for the sake of a key id that is not in the set: anybody may invent one."""
RETRY_SECONDS = 10.0
"""Between two tries at an issuer that does not answer."""
FETCH_SECONDS = 3.0

Fetch = Callable[[str, float], Awaitable[bytes]]


@dataclass(slots=True)
class _Kept:
    keys: tuple[VerifyKey, ...] = ()
    fetched_at: float = -1e12
    tried_at: float = -1e12
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeySets:
    """Key sets by URL. One request asks an issuer; the others wait for it only when there is nothing to go on with.

    Parameters
    ----------
    loopback
        `settings.jwks_loopback`: key sets may come from this machine, by http too.
    get
        Fetches a document: (url, seconds). `fetching.fetch` unless a test has its own.
    clock
        Wall time in seconds: an instance may have been frozen.
    """

    def __init__(
        self, *, loopback: bool = False, get: Fetch | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._loopback = loopback
        self._get = get or self._fetch
        self._clock = clock
        self._sets: dict[str, _Kept] = {}  # by the tenants file's URLs; a caller cannot add one

    @classmethod
    def of(cls, settings: Settings) -> KeySets:
        """As the deployment says."""
        return cls(loopback=settings.jwks_loopback == "yes")

    async def find(self, url: str, kid: str, algorithm: Algorithm) -> tuple[VerifyKey, ...]:
        """The keys that a token with this key id and algorithm may be signed with; usually one, empty when unknown.

        Without a key id the set must hold a single key.

        Raises
        ------
        IssuerUnavailable
            503: there is no key set, or only one that is too old, and the issuer cannot be asked.
        """
        kept = self._sets.setdefault(url, _Kept())
        may_go_on = self._serves(kept) and bool(_matching(kept.keys, kid, algorithm))
        if not self._settled(kept, kid, algorithm) and not (kept.lock.locked() and may_go_on):
            async with kept.lock:
                if not self._settled(kept, kid, algorithm):
                    await self._ask(url, kept)
        if not self._serves(kept):
            raise IssuerUnavailable
        return _matching(kept.keys, kid, algorithm)

    def _settled(self, kept: _Kept, kid: str, algorithm: Algorithm) -> bool:
        """Whether asking the issuer now would be too early, or of no use."""
        young = self._within(kept.fetched_at, LIFE_SECONDS)
        if young and _matching(kept.keys, kid, algorithm):
            return True
        return self._within(kept.tried_at, UNKNOWN_SECONDS if young else RETRY_SECONDS)

    def _serves(self, kept: _Kept) -> bool:
        return self._within(kept.fetched_at, DOWN_SECONDS)

    def _within(self, since: float, seconds: float) -> bool:
        # A clock that was set back must not make anything last longer.
        return 0 <= self._clock() - since < seconds

    async def _ask(self, url: str, kept: _Kept) -> None:
        current = context.current_or_none()
        seconds = min(FETCH_SECONDS, current.deadline.remaining()) if current else FETCH_SECONDS
        try:
            kept.keys = jwk.read(await self._get(url, seconds))
        except FetchError as error:
            logs.event("issuer.unavailable", level="warning", reason=f"jwks.{error}")
        except ValueError:
            logs.event("issuer.unavailable", level="warning", reason="jwks.unreadable")
        else:
            kept.fetched_at = self._clock()
            logs.event("issuer.asked", count=len(kept.keys))
        kept.tried_at = self._clock()  # not before: who comes meanwhile waits; and not when this request was given up

    async def _fetch(self, url: str, seconds: float) -> bytes:
        return await fetch(url, seconds, loopback=self._loopback)


def _matching(keys: tuple[VerifyKey, ...], kid: str, algorithm: Algorithm) -> tuple[VerifyKey, ...]:
    if not kid and len(keys) != 1:
        return ()
    return tuple(key for key in keys if key.algorithm == algorithm and (not kid or key.kid == kid))
