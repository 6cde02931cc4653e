"""What is known of a caller once he is let in."""

from __future__ import annotations

from typing import Literal

import msgspec

from isikit.tenants import Tenant

Door = Literal["gateway", "jwt", "api_key", "legacy_gateway"]


class Caller(msgspec.Struct, frozen=True):
    """Who calls.

    Parameters
    ----------
    tenant
        Whose rights and limits count.
    door
        How he came in.
    subject
        Who he is at that door: the consumer's name, the token's `sub` (may be empty), the key's id, the application's
        number. For people to read; nothing may depend on it.
    """

    tenant: Tenant
    door: Door
    subject: str
