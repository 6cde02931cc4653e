"""The service's own keys, and the secrets that the gateways and webhooks share with it."""

from __future__ import annotations

from isikit.secrets.keys import Keys, hkdf
from isikit.secrets.ring import KeyRing

__all__ = ["KeyRing", "Keys", "hkdf"]
