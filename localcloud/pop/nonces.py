"""Which signature nonces were used: one is good for one request."""

from __future__ import annotations

from collections import OrderedDict


class Nonces:
    """Nonces seen, forgotten once their requests would be refused for their time stamp anyway.

    Not thread-safe: it lives on the event loop.
    """

    def __init__(self, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()

    def use(self, access_key_id: str, nonce: str, now: float) -> bool:
        """Whether the nonce is new for that key; it is used from now on."""
        while self._seen and next(iter(self._seen.values())) < now - self._keep_seconds:
            self._seen.popitem(last=False)
        if (access_key_id, nonce) in self._seen:
            return False
        self._seen[access_key_id, nonce] = now
        return True
