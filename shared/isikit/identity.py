"""Who is calling: one answer for every wrong key, in the same time, with the same words."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from isikit.errors.tree import Refused
from isikit.host import context
from isikit.tenants import Tenant, TenantsFile

HEADER = "x-api-key"
HEADER_LIMIT = 256
_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{16,128})\Z")
_NOBODY = "0" * 64
"""Compared against when the id is unknown, so that this takes as long; no SHA-256 is known to be all zeroes."""


def identify(headers: Mapping[str, str], tenants: TenantsFile) -> Tenant:
    """The tenant whose key was sent (`X-Api-Key: id.secret`), now also in the request's context.

    Parameters
    ----------
    headers
        The request's headers; names in lower case, or a mapping that does not care (Starlette's `Headers`).
    tenants
        The current tenants.

    Raises
    ------
    Refused
        No key, two keys, a malformed one, an unknown one, a wrong one: the same answer for all.
    """
    key_id, secret = _sent(headers)
    found = tenants.by_key_id(key_id)
    expected = found[1].sha256 if found is not None else _NOBODY
    right = hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), expected)
    if found is None or not right:
        raise Refused
    context.update(tenant_id=found[0].id)
    return found[0]


def _sent(headers: Mapping[str, str]) -> tuple[str, str]:
    """Id and secret as sent; two empty strings, which nobody has, when they were not sent properly."""
    several = getattr(headers, "getlist", None)
    if several is not None and len(several(HEADER)) > 1:
        return "", ""  # which of the two a proxy in front checked is not known
    value = headers.get(HEADER, "")
    match = _SHAPE.match(value) if len(value) <= HEADER_LIMIT else None
    return (match[1], match[2]) if match else ("", "")
