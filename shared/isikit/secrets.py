"""The service's own keys: they name prompts (HMAC) and seal what is stored or handed out (AES-GCM).

One master key lies in the state bucket. Every use derives a key of its own from it (HKDF-SHA-256, RFC 5869), so that
what one purpose gives away is of no use to another.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import hmac
import os
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from isikit import logs
from isikit.errors.tree import IsiError, KeysUnavailable, SealError

KEY_BYTES = 32
NONCE_BYTES = 12  # 96 bits, random: safe for 2^32 seals per derived key (NIST SP 800-38D, 8.3)
TAG_BYTES = 16
REREAD_SECONDS = 30.0
_SALT = b"isikit"


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869) by the standard library: importing `cryptography` for it costs up to 26 ms of a request.

    Parameters
    ----------
    length
        Bytes, at most 255 x 32.
    """
    size = hashlib.sha256().digest_size
    if length > 255 * size:
        raise ValueError("more than HKDF gives")
    pseudorandom = hmac.digest(salt or bytes(size), secret, "sha256")
    block = made = b""
    while len(made) < length:
        block = hmac.digest(pseudorandom, block + info + bytes([len(made) // size + 1]), "sha256")
        made += block
    return made[:length]


class _Master(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    version: int
    master: str


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """keys.json. `previous` holds the masters that may still open what they sealed."""

    version: int
    master: str
    previous: tuple[_Master, ...] = ()


class Reader(Protocol):
    """What is needed of an object store here."""

    async def get(self, key: str) -> tuple[Any, bytes] | None:
        """The object, or None when it is not there."""
        ...


class Keys:
    """The keys of one version of the key file. Its repr shows nothing.

    Parameters
    ----------
    version
        1 to 255; stands in front of everything sealed, and in prompt ids.
    masters
        Version -> 32 bytes; holds `version` and those that may still open old seals.
    """

    def __init__(self, version: int, masters: Mapping[int, bytes]) -> None:
        self.version = version
        self._masters = dict(masters)
        self._derived: dict[tuple[int, bytes], bytes] = {}

    @classmethod
    def parse(cls, data: bytes) -> Keys:
        """Read keys.json.

        Raises
        ------
        KeysUnavailable
            The file is not right. What it holds is not repeated.
        """
        try:
            file = msgspec.json.decode(data, type=_File)
            texts = [*((one.version, one.master) for one in file.previous), (file.version, file.master)]
            masters = {version: b64decode(text, validate=True) for version, text in texts}
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError):
            # `from None`: the cause's message can quote the file.
            raise KeysUnavailable("The key file cannot be read.") from None
        if len(masters) != len(file.previous) + 1:
            raise KeysUnavailable("The key file names a version twice.")
        if not all(1 <= version <= 255 and len(master) == KEY_BYTES for version, master in masters.items()):
            raise KeysUnavailable("The key file needs versions from 1 to 255 and masters of 32 bytes.")
        return cls(file.version, masters)

    def knows(self, version: int) -> bool:
        """Whether seals of that version can be opened."""
        return version in self._masters

    def url_key(self, tenant_id: str) -> bytes:
        """The tenant's key for prompt ids, 32 bytes: a plain hash of a short text could be guessed from its URL."""
        return self._derive(self.version, b"url:" + tenant_id.encode())

    def mac_key(self, purpose: str, version: int | None = None) -> bytes:
        """The key of one purpose's HMACs, 32 bytes; of the current version, or of one that `knows`."""
        return self._derive(self.version if version is None else version, b"mac:" + purpose.encode())

    def seal(self, plain: bytes, *, purpose: str, aad: bytes) -> bytes:
        """Encrypt and authenticate.

        Parameters
        ----------
        plain
            What nobody else shall read.
        purpose
            Names the use (`recipe`, `say`, `token`); it cannot be opened for another one.
        aad
            What it belongs to (an id, a tenant); not stored, the same is needed to open it.

        Returns
        -------
        bytes
            Key version (1 byte), nonce (12), ciphertext and tag (16 more than `plain`).
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        front = bytes([self.version])
        nonce = os.urandom(NONCE_BYTES)
        key = self._derive(self.version, b"seal:" + purpose.encode())
        return front + nonce + AESGCM(key).encrypt(nonce, plain, front + aad)

    def open(self, sealed: bytes, *, purpose: str, aad: bytes) -> bytes:
        """Undo `seal`.

        Raises
        ------
        SealError
            `seal.unknown_key` for a key version that is not known (here), `seal.broken` for everything else.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(sealed) < 1 + NONCE_BYTES + TAG_BYTES:
            raise SealError
        version = sealed[0]
        if not self.knows(version):
            raise SealError(code="seal.unknown_key")
        nonce, box = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        key = self._derive(version, b"seal:" + purpose.encode())
        try:
            return AESGCM(key).decrypt(nonce, box, sealed[:1] + aad)
        except InvalidTag as error:
            raise SealError from error

    def _derive(self, version: int, info: bytes) -> bytes:
        known = self._derived.get((version, info))
        if known is None:
            known = self._derived[version, info] = hkdf(self._masters[version], _SALT, info, KEY_BYTES)
        return known

    def __repr__(self) -> str:
        return f"Keys(version={self.version})"


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
        self._read_at = 0.0

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
            async with self._lock:
                if not 0 <= self._clock() - self._read_at < REREAD_SECONDS:
                    try:
                        self._keys = await self._read()
                    except KeysUnavailable as error:
                        self._read_at = self._clock()  # the keys we have go on working
                        logs.failure("keys.refused", error)
            keys = self._keys or keys
        return keys.open(sealed, purpose=purpose, aad=aad)

    async def _read(self) -> Keys:
        try:
            found = await self._store.get(self._key)
        except IsiError as error:
            raise KeysUnavailable("The key file cannot be reached.") from error
        if found is None:
            raise KeysUnavailable("The key file is not there.")
        keys = Keys.parse(found[1])
        self._read_at = self._clock()
        return keys
