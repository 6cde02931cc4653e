"""The keys of a JSON Web Key Set (RFC 7517) that a token may be signed with here, and no others.

RS256 with RSA of 2048 to 8192 bits, ES256 with P-256, EdDSA with Ed25519 (RFC 7518, RFC 8037). A set may hold other
keys, for other uses: they are passed over. Imports PyJWT and cryptography when a set is first read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Algorithm = Literal["RS256", "ES256", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")
RSA_BITS = range(2048, 8193)
"""Shorter ones can be factored; longer ones are a way to make us compute."""
KEYS_READ = 64


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """One public key and the one algorithm it serves. `kid` is empty when it has none."""

    kid: str
    algorithm: Algorithm
    key: Any


def read(document: bytes) -> tuple[VerifyKey, ...]:
    """The usable keys of a key set.

    Raises
    ------
    ValueError
        It is no key set, or there is no usable key in it.
    """
    try:
        entries = msgspec.json.decode(document)["keys"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError):
        raise ValueError("not a JSON Web Key Set") from None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")
    found = tuple(key for entry in entries[:KEYS_READ] if (key := _usable(entry)) is not None)
    if not found:
        raise ValueError("no usable key")
    return found


def _usable(entry: object) -> VerifyKey | None:
    """The key, or None for one that is for something else, too weak or malformed."""
    from jwt.exceptions import InvalidKeyError

    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kid = entry.get("kid", "")
    algorithm = _algorithm(entry)
    if algorithm is None or not isinstance(kid, str) or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = _LOADERS[algorithm](entry)
    except (InvalidKeyError, ValueError, TypeError, KeyError):
        return None
    return None if key is None else VerifyKey(kid, algorithm, key)


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops")
    return entry.get("use", "sig") == "sig" and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _algorithm(entry: dict[str, Any]) -> Algorithm | None:
    kind, curve = entry.get("kty"), entry.get("crv")
    if kind == "RSA":
        return "RS256"
    if (kind, curve) == ("EC", "P-256"):
        return "ES256"
    return "EdDSA" if (kind, curve) == ("OKP", "Ed25519") else None


def _rsa(entry: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt.algorithms import RSAAlgorithm

    key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": entry["n"], "e": entry["e"]})
    return key if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS else None


def _p256(entry: dict[str, Any]) -> Any:
    from jwt.algorithms import ECAlgorithm

    return ECAlgorithm.from_jwk({"kty": "EC", "crv": "P-256", "x": entry["x"], "y": entry["y"]})


def _ed25519(entry: dict[str, Any]) -> Any:
    from jwt.algorithms import OKPAlgorithm

    return OKPAlgorithm.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": entry["x"]})


# The public parts alone are handed on: of a set that holds private keys by mistake nothing else is looked at.
_LOADERS: dict[Algorithm, Callable[[dict[str, Any]], Any]] = {"RS256": _rsa, "ES256": _p256, "EdDSA": _ed25519}
