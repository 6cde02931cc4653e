"""An issuer of tokens: keys of every kind, key sets, and tokens right and wrong."""

from __future__ import annotations

import base64
import functools
import json
import warnings
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.warnings import InsecureKeyLengthWarning

ISSUER = "https://issuer.example.com"


@functools.cache
def private(kind: str) -> Any:
    """A private key, the same for all tests of a process: `RS256`, `ES256`, `EdDSA`, `short`, `P-384`, `stranger`."""
    makers = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "stranger": lambda: rsa.generate_private_key(65537, 2048),
        "short": lambda: rsa.generate_private_key(65537, 1024),  # what is refused
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    return makers[kind]()


def public(kind: str, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """The JWK of a key, its id being its kind unless said."""
    key = private(kind).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        entry = RSAAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        entry = ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        entry = OKPAlgorithm.to_jwk(key, as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, "kid": kind if kid is None else kid, **more}


def key_set(*entries: dict[str, Any]) -> bytes:
    """A JSON Web Key Set, of the three good keys unless said."""
    return json.dumps({"keys": entries or [public(kind) for kind in ("RS256", "ES256", "EdDSA")]}).encode()


def token(now: float, *, kind: str = "RS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of `acme`'s issuer and audience for ten minutes from `now`; a claim of None is left out."""
    whole = {"iss": ISSUER, "aud": "acme-api", "sub": "alice", "iat": int(now), "exp": int(now) + 600, **claims}
    whole = {name: value for name, value in whole.items() if value is not None}
    algorithm = {"stranger": "RS256", "short": "RS256", "P-384": "ES384"}.get(kind, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(whole, private(kind), algorithm, {"kid": kind, **(headers or {})})


def assembled(header: dict[str, Any], claims: Any, signature: bytes = b"") -> str:
    """A token of any header, without asking a library."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
