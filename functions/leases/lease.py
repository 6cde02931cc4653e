"""A lease: a speech token of the account, and what a client must know to use it.

A lease is all speech rights of the account until it expires. It cannot be scoped, metered or revoked, so a tenant must
be allowed it explicitly, and what is spent with it is outside our books.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from functions.leases.audit import Audit
from functions.leases.refresh import refresh_in
from functions.leases.request import Use, Wish, parse
from isikit.errors import ConfigError, Forbidden
from isikit.host.context import Deadline
from isikit.host.requests import parse_json
from isikit.identity import Caller
from isikit.limits import Limits
from isikit.nls.token import TokensOfTenants
from isikit.stamps import rfc3339
from isikit.tenants import Tenant

# Names of the speech service's protocol (pages of real-time, sentence and speech-synthesis interfaces).
_HEARING: Final = {"enable_punctuation_prediction": True, "enable_inverse_text_normalization": True}
_PARAMS: Final[dict[Use | None, dict[str, Any]]] = {
    None: {},
    "realtime_asr": {"enable_intermediate_result": True, **_HEARING},
    "sentence_asr": _HEARING,
    "tts": {},
}
KNOWN_BODIES: Final = 1024
KNOWN_BODY_BYTES: Final = 256
"""What a client asks for hardly ever changes, so the latest bodies of this length or less are not read again."""


class Endpoints(msgspec.Struct, frozen=True):
    """Where the speech service is, for who holds a lease."""

    websocket: str
    rest: str


class Lease(msgspec.Struct, frozen=True):
    """The answer. `*_at` are RFC 3339 in UTC, `*_in` whole seconds. Its repr shows nothing."""

    token: str
    expires_at: str
    expires_in: int
    refresh_at: str
    refresh_in: int
    appkey: str
    start_params: dict[str, Any]
    tenant: str
    region: str
    endpoints: Endpoints

    def __repr__(self) -> str:
        return "Lease(...)"


class Asked(msgspec.Struct, frozen=True):
    """What a body asks for, as long as the tenant is what it was: every version of the file makes its tenants anew."""

    tenant: Tenant
    wish: Wish
    start_params: dict[str, Any]


@dataclass(slots=True)
class Leases:
    """Grants leases.

    Parameters
    ----------
    tokens
        The instance's speech tokens.
    limits
        The daily quota `leases`.
    endpoints, region
        Passed on.
    chance
        0 to 1, for the moment of renewal.
    """

    tokens: TokensOfTenants
    limits: Limits
    endpoints: Endpoints
    region: str
    chance: Callable[[], float] = random.random
    _known: dict[tuple[str, bytes], Asked] = field(default_factory=dict, init=False, repr=False)

    async def grant(self, caller: Caller, body: bytes, deadline: Deadline, audit: Audit) -> Lease:
        """A lease for a caller who is known.

        Of the day's quota one is taken when there is a token, just before it is given out.

        Parameters
        ----------
        body
            The request's JSON; blank is the same as `{}`.
        audit
            Is told what was given out.

        Raises
        ------
        Forbidden
            403 `lease.not_allowed`.
        LimitError
            429.
        NotJson, RequestError
            400, see `parse_json` and `request.parse`.
        ConfigError
            500 `lease.no_appkey`: leases are allowed to the tenant, but there is nothing to use them with.
        TokenError, DeadlineExceeded, Overloaded
            There is no token now that lives as long as the tenant's minimum.
        """
        tenant = caller.tenant
        asked = self._known.get((tenant.id, body))
        if asked is None or asked.tenant is not tenant:
            asked = self._read(body, tenant)
        wish = asked.wish
        tokens = self.tokens.for_tenant(tenant)
        token = await tokens.get(tenant.lease_min_life_seconds, deadline)
        await self.limits.spend(tenant, "leases", 1)
        now = tokens.now()  # storage's clock: this machine's may be wrong by minutes
        expires_in = int(token.expires_at - now)
        until_refresh = refresh_in(expires_in, tenant.lease_min_life_seconds, self.chance)
        audit.granted(
            expires_in=expires_in,
            use=wish.use,
            locale=wish.appkey.locale,
            sample_rate_hz=wish.appkey.sample_rate_hz,
            appkey_end=wish.appkey.appkey[-4:],
        )
        return Lease(
            token=token.id,
            expires_at=rfc3339(token.expires_at),
            expires_in=expires_in,
            refresh_at=rfc3339(now + until_refresh),
            refresh_in=until_refresh,
            appkey=wish.appkey.appkey,
            start_params=asked.start_params,
            tenant=tenant.id,
            region=self.region,
            endpoints=self.endpoints,
        )

    def _read(self, body: bytes, tenant: Tenant) -> Asked:
        document = parse_json(body) if body.strip() else {}
        if not tenant.lease:
            raise Forbidden("Leases are not allowed to this tenant.", code="lease.not_allowed")
        if not tenant.appkeys:
            raise ConfigError("This tenant has no AppKey.", code="lease.no_appkey")
        wish = parse(document, tenant)
        asked = Asked(tenant, wish, _start_params(wish, tenant))
        if len(body) <= KNOWN_BODY_BYTES:
            if len(self._known) >= KNOWN_BODIES:
                del self._known[next(iter(self._known))]
            self._known[tenant.id, body] = asked
        return asked


def _start_params(wish: Wish, tenant: Tenant) -> dict[str, Any]:
    """What belongs into the payload of the speech service's start message; a voice only where one is to speak."""
    params: dict[str, Any] = {"format": "pcm", "sample_rate": wish.appkey.sample_rate_hz, **_PARAMS[wish.use]}
    if wish.use == "tts" and wish.appkey.locale in tenant.default_voice:
        params["voice"] = tenant.default_voice[wish.appkey.locale]
    return params
