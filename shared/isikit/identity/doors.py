"""The doors: one answer for everybody who is not let in, with the same words."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers

from isikit.errors.tree import Refused
from isikit.host import context
from isikit.identity import api_key
from isikit.identity.caller import Caller
from isikit.secrets import KeyRing
from isikit.tenants import Tenants

API_KEY = "x-api-key"


class Doors:
    """Names the tenant of a request.

    Parameters
    ----------
    tenants
        Who there is.
    keys
        The service's own secrets.
    """

    def __init__(self, tenants: Tenants, keys: KeyRing) -> None:
        self._tenants = tenants
        self._keys = keys

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
        TenantsUnavailable
            503: there is no list to look in.
        """
        tenants = await self._tenants.current()
        sent = headers.getlist(API_KEY)
        # Of two it is not known which one a proxy in front checked.
        caller = api_key.let_in(sent[0] if len(sent) == 1 else "", tenants)
        if caller is None:
            raise Refused
        context.update(tenant_id=caller.tenant.id)
        return caller
