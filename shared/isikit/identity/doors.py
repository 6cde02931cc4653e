"""The doors: what each believes, and one answer, with the same words after the same time, for who is not let in."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from starlette.datastructures import Headers

from isikit import logs
from isikit.errors.tree import Refused
from isikit.host import context
from isikit.host.traditional import APP_ID, APP_SECRET, CALL, GatewayCall
from isikit.identity import api_key, token
from isikit.identity.caller import Caller, Door
from isikit.identity.key_sets import KeySets
from isikit.secrets import KeyRing
from isikit.tenants import Tenants, TenantsFile

CONSUMER: Final = "x-mse-consumer"
ROUTE_SECRET: Final = "x-route-secret"  # noqa: S105 - a header's name
AUTHORIZATION: Final = "authorization"
OWN_AUTHORIZATION: Final = "x-authorization"
API_KEY: Final = "x-api-key"
CREDENTIALS: Final = (CONSUMER, AUTHORIZATION, OWN_AUTHORIZATION, API_KEY, APP_ID, APP_SECRET)
"""Headers that say who somebody is. Exactly one may be there, once."""
_NAMES: Final = {name.encode(): name for name in CREDENTIALS}  # as they come, in lower case
REFUSAL_SECONDS: Final = 0.02
"""When a refusal is answered, from the beginning: hashes, signatures and look-ups all end within it."""
_BEARER = re.compile(r"Bearer +([!-~]+)\Z", re.IGNORECASE)
_OWN_BEARER = re.compile(r"(?:Bearer +)?([!-~]+)\Z", re.IGNORECASE)

Pause = Callable[[float], Awaitable[None]]


class Doors:
    """Names the tenant of a request.

    Parameters
    ----------
    tenants
        Who there is, and what time it is: times in tokens are judged by OSS's clock.
    keys
        What the gateways prove themselves with.
    key_sets
        Of the issuers of tokens; without any, their own from the public internet only.
    pause
        Sleeps before a refusal.
    """

    def __init__(
        self,
        tenants: Tenants,
        keys: KeyRing,
        key_sets: KeySets | None = None,
        *,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._tenants = tenants
        self._keys = keys
        self._key_sets = key_sets or KeySets()
        self._pause = pause

    async def identify(self, headers: Headers, scope: MutableMapping[str, Any]) -> Caller:
        """Who calls; his tenant is in the request's context from then on.

        Parameters
        ----------
        headers, scope
            Of the request, as they came from the host.

        Raises
        ------
        Refused
            401, the same for nothing, too much, unknown and wrong.
        TenantsUnavailable, KeysUnavailable, IssuerUnavailable
            503: there is nothing to judge by.
        """
        begun_at = time.monotonic()
        tenants = await self._tenants.current()
        call = scope.get(CALL)
        if isinstance(call, GatewayCall):
            door, caller = "legacy_gateway", await self._legacy(call, headers, tenants)
        else:
            door, caller = await self._http(headers, tenants)
        if caller is None:
            logs.event("identity.refused", level="warning", door=door)
            await self._pause(max(0.0, begun_at + REFUSAL_SECONDS - time.monotonic()))
            raise Refused(door)
        context.update(tenant_id=caller.tenant.id)
        return caller

    async def _http(self, headers: Headers, tenants: TenantsFile) -> tuple[Door | str, Caller | None]:
        """Which door of plain HTTP was knocked at, and who stands there."""
        found = _credentials(headers)
        sent = dict(found)
        if len(sent) < len(found):
            return "several", None  # one of them twice: it is not known which one a proxy in front looked at
        if CONSUMER in sent:
            # The gateway leaves in place what its consumer proved himself with, and has judged it: that is not ours.
            alone = sent.keys() <= {CONSUMER, AUTHORIZATION}
            caller = await self._consumer(sent[CONSUMER], headers.getlist(ROUTE_SECRET), tenants)
            return "gateway", caller if alone else None
        if len(sent) != 1:
            return "several" if sent else "none", None
        ((name, value),) = found
        if name == API_KEY:
            return "api_key", api_key.let_in(value, tenants)
        if name in (AUTHORIZATION, OWN_AUTHORIZATION):
            match = (_BEARER if name == AUTHORIZATION else _OWN_BEARER).match(value)
            return "jwt", await token.let_in(match[1] if match else "", tenants, self._key_sets, self._tenants.now())
        return "legacy_gateway", None  # its marks, sent by somebody over HTTP

    async def _consumer(self, name: str, secrets: list[str], tenants: TenantsFile) -> Caller | None:
        secret = secrets[0] if len(secrets) == 1 else ""
        proved = await self._keys.proves(lambda keys: keys.is_route_secret(secret))
        tenant = tenants.by_consumer(name)
        return Caller(tenant, "gateway", name) if tenant is not None and proved else None

    async def _legacy(self, call: GatewayCall, headers: Headers, tenants: TenantsFile) -> Caller | None:
        proved = await self._keys.proves(lambda keys: keys.is_app_secret(call.secret))
        tenant = tenants.by_app(call.app_id)
        alone = not _credentials(headers)
        return Caller(tenant, "legacy_gateway", call.app_id) if tenant is not None and proved and alone else None


def _credentials(headers: Headers) -> list[tuple[str, str]]:
    """The headers that say who somebody is, with names in lower case, each as often as it was sent."""
    return [(_NAMES[name], value.decode("latin-1")) for name, value in headers.raw if name in _NAMES]
