"""The door of API keys: `X-Api-Key: id.secret`, 256 bits, found by id, kept as SHA-256, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re

from isikit.identity.caller import Caller
from isikit.tenants import TenantsFile

LIMIT = 256
_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{16,128})\Z")
_NOBODY = "0" * 64
"""Compared against when the id is unknown, so that this takes as long; no SHA-256 is known to be all zeroes."""


def let_in(value: str, tenants: TenantsFile) -> Caller | None:
    """Who has this key; None for a malformed, an unknown and a wrong one alike."""
    match = _SHAPE.match(value) if len(value) <= LIMIT else None
    key_id, secret = (match[1], match[2]) if match else ("", "")  # which nobody has
    found = tenants.by_key_id(key_id)
    expected = found[1].sha256 if found is not None else _NOBODY
    right = hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), expected)
    return Caller(found[0], "api_key", key_id) if found is not None and right else None
