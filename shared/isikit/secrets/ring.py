"""The keys in use: the key file read when it is first needed, and again when somebody is ahead of us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from isikit import logs
from isikit.errors.tree import IsiError, KeysUnavailable
from isikit.secrets.keys import Keys

REREAD_SECONDS = 30.0
FRESH_SECONDS = 300.0
"""For how long a gateway's secret that was taken out of the file may still be believed."""
RETRY_SECONDS = 2.0
DOWN_SECONDS = 3600.0
"""For how long what the file said is believed while it cannot be read: a secret may have been taken out of it since."""


class Reader(Protocol):
    """What is needed of an object store here."""

    async def get(self, key: str) -> tuple[Any, bytes] | None:
        """The object, or None when it is not there."""
        ...


class KeyRing:
    """Reads the key file once per process, and again when somebody sealed with a key that is not known here.

    Parameters
    ----------
    store
        The state bucket.
    key
        The object, `settings.keys_key`.
    clock
        Wall time in seconds.
    """

    def __init__(self, store: Reader, key: str = "config/keys.json", *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: Keys | None = None
        self._asked_at = self._read_at = 0.0

    async def current(self) -> Keys:
        """The keys to seal and to name with.

        Raises
        ------
        KeysUnavailable
            The file is missing, wrong or cannot be reached.
        """
        if self._keys is None:
            async with self._lock:
                if self._keys is None:
                    self._keys = await self._read()
        return self._keys

    async def open(self, sealed: bytes, *, purpose: str, aad: bytes) -> bytes:
        """`Keys.open`, reading the file again for an unknown version: a rotation reaches other instances first.

        At most once in 30 s, because anybody may send bytes that begin with any version.

        Raises
        ------
        SealError, KeysUnavailable
            As above.
        """
        keys = await self.current()
        if sealed and not keys.knows(sealed[0]):
            keys = await self._not_older(REREAD_SECONDS)
        return keys.open(sealed, purpose=purpose, aad=aad)

    async def knowing(self, version: int) -> Keys:
        """The keys, read again for an unknown version, at most once in 2 s: for what few may write.

        They may still not know it: ask `knows`.

        Raises
        ------
        KeysUnavailable
            The file is missing, wrong or cannot be reached, and was never read.
        """
        keys = await self.current()
        return keys if keys.knows(version) else await self._not_older(RETRY_SECONDS)

    async def proves(self, check: Callable[[Keys], bool]) -> bool:
        """Whether a gateway's secret holds by keys that are at most 5 minutes old, or else 30 s.

        So a new secret works at once everywhere, and one that was taken out is not believed for long: for an hour at
        most where the file cannot be read.

        Parameters
        ----------
        check
            `lambda keys: keys.is_route_secret(value)`, for example.

        Raises
        ------
        KeysUnavailable
            There have been no good keys yet, or none for an hour.
        """
        await self.current()
        return check(await self._not_older(FRESH_SECONDS)) or check(await self._not_older(REREAD_SECONDS))

    async def webhook_secret(self, secret_id: str) -> bytes | None:
        """What calls of a webhook are signed with, by keys as fresh as those of `proves`; None for an unknown id.

        Raises
        ------
        KeysUnavailable
            There have been no good keys yet, or none for an hour.
        """
        secret = (await self._not_older(FRESH_SECONDS)).webhook_secret(secret_id)
        return secret if secret is not None else (await self._not_older(REREAD_SECONDS)).webhook_secret(secret_id)

    async def _not_older(self, seconds: float) -> Keys:
        """Keys that were asked for within that time; the old ones, for an hour, where asking does not help."""
        if self._keys is not None and self._is_within(seconds) and self._is_believed():
            return self._keys  # nobody waits while the file is read for the sake of somebody's invented secret
        async with self._lock:
            # Once nothing is believed any more, asking again is worth more than waiting.
            if self._keys is None or not self._is_within(seconds if self._is_believed() else RETRY_SECONDS):
                try:
                    self._keys = await self._read()
                except KeysUnavailable as error:
                    if self._keys is None:
                        raise
                    self._asked_at = self._clock()  # the keys we have go on working
                    logs.failure("keys.refused", error)
            if not self._is_believed():
                raise KeysUnavailable("The key file has been out of reach for an hour.")
            return self._keys

    def _is_within(self, seconds: float) -> bool:
        return 0 <= self._clock() - self._asked_at < seconds

    def _is_believed(self) -> bool:
        return 0 <= self._clock() - self._read_at < DOWN_SECONDS

    async def _read(self) -> Keys:
        try:
            found = await self._store.get(self._key)
        except IsiError as error:
            raise KeysUnavailable("The key file cannot be reached.") from error
        if found is None:
            raise KeysUnavailable("The key file is not there.")
        keys = Keys.parse(found[1])
        self._asked_at = self._read_at = self._clock()
        return keys
