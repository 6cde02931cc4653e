"""A lease: a speech token of the account, and what a client must know to use it.

A lease is all speech rights of the account until it expires. It cannot be scoped, metered or revoked, so a tenant must
be allowed it explicitly, and what is spent with it is outside our books.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from functions.leases.request import Wish, parse
from isikit import logs
from isikit.config import Settings
from isikit.errors import ConfigError, Forbidden, IsiError
from isikit.host.context import Deadline
from isikit.identity import Doors
from isikit.nls.token import TokenSource
from isikit.secrets import KeyRing
from isikit.stamps import rfc3339
from isikit.tenants import Tenant, Tenants

MIN_LIFE_SECONDS: Final = 600
"""No lease is given out with less: a client must be able to make a call with it, and to get the next in peace."""
REFRESH_SHARE: Final = 0.8
"""Of the life that is left, after which a client should come again."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the speech service is, for who holds a lease."""

    websocket: str
    rest: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer. `*_at` are RFC 3339 in UTC, `*_in` whole seconds."""

    token: str = field(repr=False)
    expires_at: str
    expires_in: int
    refresh_at: str
    refresh_in: int
    appkey: str
    start_params: dict[str, Any]
    tenant: str
    region: str
    endpoints: Endpoints


@dataclass(slots=True)
class Leases:
    """Grants leases.

    Parameters
    ----------
    doors
        Who is calling.
    tokens
        The instance's speech token.
    endpoints, region
        Passed on.
    clock
        Wall time, epoch seconds.
    """

    doors: Doors
    tokens: TokenSource
    endpoints: Endpoints
    region: str
    clock: Callable[[], float] = time.time

    async def grant(self, tenant: Tenant, body: object, deadline: Deadline) -> Lease:
        """A lease for a tenant who has identified himself.

        Parameters
        ----------
        body
            The request's JSON, `{}` when there was none.

        Raises
        ------
        Forbidden
            403 `lease.not_allowed`.
        RequestError
            400, see `request.parse`.
        ConfigError
            500 `lease.no_appkey`: leases are allowed to the tenant, but there is nothing to use them with.
        TokenError, DeadlineExceeded, Overloaded
            There is no token now that lives long enough.
        """
        try:
            if not tenant.lease:
                raise Forbidden("Leases are not allowed to this tenant.", code="lease.not_allowed")
            if not tenant.appkeys:
                raise ConfigError("This tenant has no AppKey.", code="lease.no_appkey")
            wish = parse(body, tenant)
            token = await self.tokens.get(MIN_LIFE_SECONDS, deadline)
        except IsiError as error:
            logs.event("lease.refused", level="warning", reason=error.code)
            raise
        now = self.clock()
        expires_in = int(token.expires_at - now)
        refresh_in = int(expires_in * REFRESH_SHARE)
        logs.event(
            "lease.granted",
            expires_in=expires_in,
            locale=wish.appkey.locale,
            sample_rate_hz=wish.appkey.sample_rate_hz,
        )
        return Lease(
            token=token.id,
            expires_at=rfc3339(token.expires_at),
            expires_in=expires_in,
            refresh_at=rfc3339(now + refresh_in),
            refresh_in=refresh_in,
            appkey=wish.appkey.appkey,
            start_params=_start_params(wish, tenant),
            tenant=tenant.id,
            region=self.region,
            endpoints=self.endpoints,
        )


def from_settings(settings: Settings) -> Leases:
    """What the deployment describes."""
    from isikit import credentials, objects

    state = objects.stores().state
    return Leases(
        doors=Doors(Tenants(state, settings.tenants_key), KeyRing(state, settings.keys_key)),
        tokens=TokenSource(settings, credentials.provider),
        endpoints=Endpoints(settings.nls_public_websocket, settings.nls_public_rest),
        region=settings.region,
    )


def _start_params(wish: Wish, tenant: Tenant) -> dict[str, Any]:
    """What belongs into the speech service's start message, by its names; a voice only where one is to speak."""
    params: dict[str, Any] = {"format": "pcm", "sample_rate": wish.appkey.sample_rate_hz}
    if wish.use == "tts" and wish.appkey.locale in tenant.default_voice:
        params["voice"] = tenant.default_voice[wish.appkey.locale]
    return params
