"""JSON Web Tokens against a JWKS: RS256 and ES256, nothing else (RFC 7515, 7517, 7518)."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

SKEW_SECONDS = 60  # `clock_skew_seconds` of the jwt-auth plug-in, its default
_KINDS = {"RS256": "RSA", "ES256": "EC"}
_P256_BYTES = 32


class JwtError(Exception):
    """Why a token is refused, in the gateway's own words."""


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what is signed, and the signature.

    Raises
    ------
    JwtError
        It is not a compact JWS of two JSON objects.
    """
    try:
        head, payload, mark = token.split(".")
        header, claims = json.loads(_bytes(head)), json.loads(_bytes(payload))
        signature = _bytes(mark)
    except ValueError as error:
        raise JwtError("Jwt verification fails") from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise JwtError("Jwt verification fails")
    return header, claims, f"{head}.{payload}".encode(), signature


def signed_by(token: str, jwks: list[dict[str, Any]]) -> bool:
    """Whether one of the keys made the signature. The algorithm must be the key's kind: no `none`, no confusion."""
    header, _, signed, signature = decoded(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _KINDS:
        return False
    for key in jwks:
        right_kind = key.get("kty") == _KINDS[algorithm] and key.get("alg", algorithm) == algorithm
        right_id = key_id is None or "kid" not in key or key["kid"] == key_id
        if right_kind and right_id and _verifies(algorithm, key, signed, signature):
            return True
    return False


def check_times(claims: dict[str, Any], now: float) -> None:
    """`exp` must be there and not past, `nbf` and `iat` not in the future; a minute of skew is allowed.

    Raises
    ------
    JwtError
        `Jwt expired`, or `Jwt verification fails` for the others.
    """
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if "exp" not in times or any(isinstance(t, bool) or not isinstance(t, (int, float)) for t in times.values()):
        raise JwtError("Jwt verification fails")
    if now > times["exp"] + SKEW_SECONDS:
        raise JwtError("Jwt expired")
    if any(times.get(name, 0) > now + SKEW_SECONDS for name in ("nbf", "iat")):
        raise JwtError("Jwt verification fails")


def check_key(key: dict[str, Any]) -> None:
    """Raise `ValueError` for a key that no token could be checked with."""
    if key.get("kty") == "RSA":
        _rsa(key)
    elif key.get("kty") == "EC":
        _ec(key)
    else:
        raise ValueError("keys are RSA (RS256) or EC P-256 (ES256)")


def _verifies(algorithm: str, key: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    try:
        if algorithm == "RS256":
            _rsa(key).verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            if len(signature) != 2 * _P256_BYTES:
                return False
            halves = (int.from_bytes(signature[:_P256_BYTES], "big"), int.from_bytes(signature[_P256_BYTES:], "big"))
            _ec(key).verify(encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _rsa(key: dict[str, Any]) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(_number(key, "e"), _number(key, "n")).public_key()


def _ec(key: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    if key.get("crv") != "P-256":
        raise ValueError("the curve of ES256 is P-256")
    return ec.EllipticCurvePublicNumbers(_number(key, "x"), _number(key, "y"), ec.SECP256R1()).public_key()


def _number(key: dict[str, Any], name: str) -> int:
    value = key.get(name)
    if not isinstance(value, str):
        raise ValueError(f"the key lacks {name}")
    return int.from_bytes(_bytes(value), "big")


def _bytes(text: str) -> bytes:
    if not text.isascii() or "=" in text:
        raise ValueError("not base64url")
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
