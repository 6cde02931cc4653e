"""Speech tokens: shared by all instances, kept until near their end, never waited for needlessly."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from isikit import logs
from isikit.errors import ConfigError, DeadlineExceeded, IsiError, TokenError
from isikit.host import context
from isikit.host.context import Deadline
from isikit.nls.pop import AssumedRole, PopTokenFetcher
from isikit.nls.shared_token import Need, SharedToken
from isikit.nls.speech_token import SpeechToken, TokenFetcher
from isikit.nls.token_log import TokenLog
from isikit.retry import RetryBudget, retrying
from isikit.singleflight import SingleFlight

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.credentials import Credentials
    from isikit.objects import ObjectStore
    from isikit.secrets import KeyRing
    from isikit.tenants import Tenant

__all__ = ["SpeechToken", "TokenFetcher", "TokenSource", "TokenSources", "TokensOfTenants", "sources"]

FETCH_SECONDS: Final = 20.0  # of one fetch, whoever waits for it: a dead holder's claim and a call of our own
AHEAD_SECONDS: Final = 3.0  # what a renewal ahead of need may cost the request that makes it
REST_SECONDS: Final = 30.0  # after a renewal ahead of need failed
LOOK_SECONDS: Final = 2.0  # before we look again whether somebody else has renewed it
REFUSED_KEPT: Final = 8
_ROLE_ARN: Final = re.compile(r"acs:ram::(\d{1,20}):role/([\w.@-]{1,64})\Z", re.ASCII | re.IGNORECASE)


class TokenSource:
    """An account's token in this process. Renewed in the last fifth of its life, by one request, ahead of need.

    Nothing is fetched in the background: the platform stops the process between requests.

    Parameters
    ----------
    settings, credentials
        For the token API.
    fetcher
        Instead of the token API.
    shared
        Where the instances share the token; without it this process makes its own.
    now, sleep
        Epoch seconds, and the pause between attempts: for tests.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        *,
        fetcher: TokenFetcher | None = None,
        shared: SharedToken | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._fetcher: TokenFetcher = fetcher or PopTokenFetcher(settings.pop_nls_meta, credentials)
        self._shared = shared
        self._clock, self._sleep = now, sleep
        self._budget = RetryBudget()
        self._flights: SingleFlight[SpeechToken | None] = SingleFlight()
        self._making: SingleFlight[SpeechToken] = SingleFlight()
        self._token: SpeechToken | None = None
        self._refused: deque[str] = deque(maxlen=REFUSED_KEPT)
        self._got_at = 0.0
        self._rest_until = 0.0

    def now(self) -> float:
        """Epoch seconds by OSS's clock as far as it is known: what a token's end is to be compared with."""
        return self._clock() + (0.0 if self._shared is None else self._shared.skew_seconds)

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        """A token that lives at least `min_life_seconds` more.

        In the last fifth of its life, or when it lives no more than a quarter longer than the minimum, one request
        renews it, for at most 3 seconds; a failure costs nothing as long as the token still lives long enough, and the
        others go on with it meanwhile.

        Raises
        ------
        TokenError
            None could be had; `pop.token_too_short` when the service's tokens never live that long.
        DeadlineExceeded
        """
        token = self._token
        if token is not None and self._left(token) >= min_life_seconds:
            now = self.now()
            if token.is_young(now, self._got_at, min_life_seconds) or len(self._flights) or now < self._rest_until:
                return token
            return await self._renew_ahead(token, min_life_seconds, deadline)
        fetched = await self._fetch(Need(min_life_seconds, refused=self._refused), deadline)
        if fetched is None or self._left(fetched) < min_life_seconds:
            raise TokenError(
                "The service's tokens live shorter than this tenant's minimum.", code="pop.token_too_short"
            )
        return fetched

    def invalidate(self, token_id: str) -> None:
        """Forget the token of that id: the service refused it. A newer one stays.

        The next fetch marks it for the other instances, and one of them makes a new one.
        """
        if token_id not in self._refused:
            self._refused.append(token_id)
        if self._token is not None and self._token.id == token_id:
            self._token = None

    def _left(self, token: SpeechToken) -> float:
        return token.expires_at - self.now()

    async def _renew_ahead(self, token: SpeechToken, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        need = Need(min_life_seconds, ahead=True, refused=self._refused)
        try:
            renewed = await self._fetch(need, deadline.sooner(AHEAD_SECONDS))
        except IsiError as error:
            self._rest_until = self.now() + REST_SECONDS
            logs.failure("token.kept", error, level="warning", expires_in=int(self._left(token)))
            return token
        if renewed is None:  # somebody else is at it
            self._rest_until = self.now() + LOOK_SECONDS
        return renewed or token

    async def _fetch(self, need: Need, deadline: Deadline) -> SpeechToken | None:
        seconds = deadline.remaining()
        if seconds <= 0:
            raise DeadlineExceeded
        # Those who want the same share one fetch; the token is made once, whoever wants it.
        key = "ahead" if need.ahead else need.min_life_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._flights.run(key, lambda: self._fetch_and_keep(need))
        except TimeoutError as error:
            raise DeadlineExceeded("No speech token came in time.") from error

    async def _fetch_and_keep(self, need: Need) -> SpeechToken | None:
        # Its own deadline: who asked first may have less time than those who wait with him.
        deadline = Deadline.after(FETCH_SECONDS)
        if (request := context.current_or_none()) is not None:
            with context.entered(msgspec.structs.replace(request, deadline=deadline)):
                token = await self._token_for(need, deadline)
        else:
            token = await self._token_for(need, deadline)
        if token is not None and token.id not in self._refused:
            self._token, self._got_at, self._rest_until = token, self.now(), 0.0
        return token

    async def _token_for(self, need: Need, deadline: Deadline) -> SpeechToken | None:
        if self._shared is None:
            return await self._make(deadline)
        return await self._shared.get(need, self._make, deadline)

    async def _make(self, deadline: Deadline) -> SpeechToken:
        return await self._making.run("token", lambda: self._call(deadline))

    async def _call(self, deadline: Deadline) -> SpeechToken:
        return await retrying(
            lambda: self._fetcher.fetch(deadline),
            operation="pop.CreateToken",
            deadline=deadline,
            budget=self._budget,
            sleep=self._sleep,
        )


class TokensOfTenants(Protocol):
    """Whose speech token a tenant's work is done with: `TokenSources`."""

    def for_tenant(self, tenant: Tenant) -> TokenSource:
        """Our own account's, or that of the tenant's `role_arn`."""


class TokenSources:
    """A token source per account: our own, and one for each role that a tenant names.

    Parameters
    ----------
    settings, credentials
        For the token API and STS.
    state_store, keys
        The state bucket, where the journals lie, and what seals the tokens.
    """

    def __init__(self, settings: Settings, credentials: Credentials, state_store: ObjectStore, keys: KeyRing) -> None:
        self._settings = settings
        self._credentials = credentials
        self._store = state_store
        self._keys = keys
        self._owner = f"{os.environ.get('FC_INSTANCE_ID', 'local')[:48]}-{secrets.token_hex(4)}"
        self._sources: dict[str, TokenSource] = {}

    def of(self, role_arn: str = "") -> TokenSource:
        """The source of a tenant's `role_arn`; our own account's for "".

        Raises
        ------
        ConfigError
            `tenant.role_arn`: it is not the ARN of a role.
        """
        if role_arn not in self._sources:
            self._sources[role_arn] = self._new(role_arn)
        return self._sources[role_arn]

    def for_tenant(self, tenant: Tenant) -> TokenSource:
        """`of` the tenant's role."""
        return self.of(tenant.role_arn)

    def _new(self, role_arn: str) -> TokenSource:
        account, role = "own", None
        if role_arn:
            match = _ROLE_ARN.match(role_arn)
            if match is None:
                raise ConfigError("A tenant's role_arn is not the ARN of a role.", code="tenant.role_arn")
            account = f"role-{match[1]}-{match[2].lower()}"
            role = AssumedRole(self._settings.pop_sts, role_arn, self._credentials)
        return TokenSource(
            self._settings,
            self._credentials,
            fetcher=PopTokenFetcher(self._settings.pop_nls_meta, self._credentials, role=role),
            shared=SharedToken(TokenLog(self._store, self._keys, account), self._owner),
        )


def sources(settings: Settings, credentials: Credentials, state_store: ObjectStore, keys: KeyRing) -> TokenSources:
    """One source per account, made when first asked for."""
    return TokenSources(settings, credentials, state_store, keys)
