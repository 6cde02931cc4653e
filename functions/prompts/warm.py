"""What this instance knows of published audio, and when it last made sure: hot prompts answer from memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from functions.prompts.stored import Stored

FRESH_SECONDS: Final = 60.0
"""How long a hit is believed without asking OSS: so a deletion, or damage done there, shows within a minute."""
MAX_BYTES: Final = 128 * 1024 * 1024
TRUST_SECONDS: Final = 5.0
"""How long a hit is believed after OSS could not be asked."""
_ENTRY_BYTES: Final = 2_048  # of an entry without its audio, rounded up


@dataclass(slots=True)
class _Entry:
    stored: Stored
    verified_at: float


class Warm:
    """Entries by key, the least recently used given up first, by bytes.

    Wall time, not the monotonic clock: while the instance is frozen the world goes on.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def fresh(self, key: str, now: float) -> Stored | None:
        """What is known of `key`, if that was made sure of within the last minute."""
        found = self.lately(key, now)
        return None if found is None else found[0].aged(found[1])

    def lately(self, key: str, now: float) -> tuple[Stored, float] | None:
        """As `fresh`, but as it was made sure of, and how many seconds ago."""
        entry = self._entries.get(key)
        if entry is None or not 0 <= now - entry.verified_at < FRESH_SECONDS:
            return None
        self._entries.move_to_end(key)
        return entry.stored, now - entry.verified_at

    def stale(self, key: str, now: float) -> Stored | None:
        """What was known of `key`, however long ago."""
        entry = self._entries.get(key)
        return None if entry is None else entry.stored.aged(max(0.0, now - entry.verified_at))

    def trust(self, key: str, now: float) -> None:
        """Believe what is known of `key` a little longer, though nobody could be asked."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.verified_at = now - FRESH_SECONDS + TRUST_SECONDS

    def keep(self, stored: Stored, now: float) -> None:
        """Remember what was just made sure of."""
        self.drop(stored.key)
        size = _size(stored)
        if size > self._max_bytes:
            return
        self._entries[stored.key] = _Entry(stored, now)
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, given_up = self._entries.popitem(last=False)
            self._bytes -= _size(given_up.stored)

    def drop(self, key: str) -> None:
        """Forget one key."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(entry.stored)

    def drop_all(self, prefix: str) -> None:
        """Forget every key below a prefix."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            self.drop(key)


def _size(stored: Stored) -> int:
    return _ENTRY_BYTES + len(stored.body or b"")
