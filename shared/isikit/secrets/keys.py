"""The service's own keys: they name prompts (HMAC) and seal what is stored or handed out (AES-GCM).

One master key lies in the state bucket. Every use derives a key of its own from it (HKDF-SHA-256, RFC 5869), so that
what one purpose gives away is of no use to another. Beside it lie the secrets that others have to know as well: what
the gateways prove themselves with, and what webhooks are signed with.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from isikit.errors.tree import KeysUnavailable, SealError

KEY_BYTES = 32
NONCE_BYTES = 12  # 96 bits, random: safe for 2^32 seals per derived key (NIST SP 800-38D, 8.3)
TAG_BYTES = 16
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


_Secret = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{32,256}\Z")]
_Pair = Annotated[tuple[_Secret, ...], msgspec.Meta(max_length=2)]
_WebhookId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """keys.json. `previous` holds the masters that may still open what they sealed.

    `route_secrets` and `app_secrets` prove the cloud-native and the traditional gateway; two values while one is being
    exchanged for the other. None closes the door. `webhooks` are by the id that the tenants file names.
    """

    version: int
    master: str
    previous: tuple[_Master, ...] = ()
    route_secrets: _Pair = ()
    app_secrets: _Pair = ()
    webhooks: dict[_WebhookId, _Secret] = {}


class Keys:
    """The keys of one version of the key file. Its repr shows nothing.

    Parameters
    ----------
    version
        1 to 255; stands in front of everything sealed, and in prompt ids.
    masters
        Version -> 32 bytes; holds `version` and those that may still open old seals.
    route_secrets, app_secrets
        What the cloud-native and the traditional gateway prove themselves with; any of them will do.
    webhooks
        Id -> what its calls are signed with.
    """

    def __init__(
        self,
        version: int,
        masters: Mapping[int, bytes],
        *,
        route_secrets: Sequence[str] = (),
        app_secrets: Sequence[str] = (),
        webhooks: Mapping[str, str] | None = None,
    ) -> None:
        self.version = version
        self._route_secrets = tuple(route_secrets)
        self._app_secrets = tuple(app_secrets)
        self._webhooks = dict(webhooks or {})
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
        return cls(
            file.version,
            masters,
            route_secrets=file.route_secrets,
            app_secrets=file.app_secrets,
            webhooks=file.webhooks,
        )

    def is_route_secret(self, value: str) -> bool:
        """Whether the cloud-native gateway's route sent this; in constant time."""
        return _is_one_of(value, self._route_secrets)

    def is_app_secret(self, value: str) -> bool:
        """Whether the traditional gateway sent this; in constant time."""
        return _is_one_of(value, self._app_secrets)

    def webhook_secret(self, secret_id: str) -> bytes | None:
        """What calls of this webhook are signed with; None for an id that is not in the file."""
        secret = self._webhooks.get(secret_id)
        return None if secret is None else secret.encode()

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


def _is_one_of(value: str, secrets: Sequence[str]) -> bool:
    """Compared with each, and as digests: neither place nor length of what fits shows in the time."""
    sent = hashlib.sha256(value.encode()).digest()
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(sent, hashlib.sha256(secret.encode()).digest())
    return found
