"""The door of JSON Web Tokens (RFC 7519, with the advice of RFC 8725): issuer and audience fix the tenant.

No claim alone decides anything: a token says whose it is, the tenants file says which key set proves that, and whose
tenant it then is. The algorithm is one of three, and a key serves one algorithm only; addresses and keys that a token
brings itself (`jku`, `jwk`, `x5u`) are never looked at.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from typing import Any, Final

import msgspec

from isikit.identity.caller import Caller
from isikit.identity.jwk import ALGORITHMS, Algorithm
from isikit.identity.key_sets import KeySets
from isikit.tenants import Tenant, TenantsFile, TokenIssuer

LIMIT: Final = 8192
LEEWAY_SECONDS: Final = 60
"""How far an issuer's clock and ours may differ."""
_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{1,8000})\.([A-Za-z0-9_-]{1,2048})\Z")
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_SUBJECT = re.compile(r"[!-~]{1,255}\Z")
_KEY_IDS = 256
_AUDIENCES = 16
_LAST_SECOND: Final = 253_402_300_800  # year 10000: no time that anybody means lies behind it


async def let_in(token: str, tenants: TenantsFile, key_sets: KeySets, now: float) -> Caller | None:
    """Whose token this is; None for any that is not right.

    Raises
    ------
    IssuerUnavailable
        503: the token's issuer is known, and its keys cannot be had.
    """
    match = _SHAPE.match(token) if len(token) <= LIMIT else None
    if match is None:
        return None
    header, claims = _object(match[1]), _object(match[2])
    algorithm, kid = _named(header)
    found = _issuer(claims, tenants)
    if algorithm is None or found is None or not _is_now(claims, now):
        return None
    tenant, issuer = found
    keys = await key_sets.find(issuer.jwks_url, kid, algorithm)
    if not any([_is_signed(token, algorithm, key.key) for key in keys]):  # noqa: C419 - as long for the last as the first
        return None
    subject = claims.get("sub")
    return Caller(tenant, "jwt", subject if isinstance(subject, str) and _SUBJECT.match(subject) else "")


def _object(text: str) -> dict[str, Any]:
    """The JSON object, empty for anything else: then whatever is needed of it is missing."""
    try:
        content = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _named(header: dict[str, Any]) -> tuple[Algorithm | None, str]:
    """Algorithm and key id of a header in which everything is as it may be, else None."""
    kind, kid = header.get("typ", "JWT"), header.get("kid", "")
    algorithm = next((one for one in ALGORITHMS if header.get("alg") == one), None)
    usable = isinstance(kind, str) and kind.lower() in _TYPES and isinstance(kid, str) and len(kid) <= _KEY_IDS
    # What `crit` lists must be understood, and none of it is. An empty `kid` would stand for any key.
    return (algorithm if usable and "crit" not in header and header.get("kid") != "" else None), kid if usable else ""


def _issuer(claims: dict[str, Any], tenants: TenantsFile) -> tuple[Tenant, TokenIssuer] | None:
    """The one tenant that issuer and audience fix together; none when an audience of several names two."""
    issuer, audience = claims.get("iss"), claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not isinstance(issuer, str) or len(audiences) > _AUDIENCES:
        return None
    texts = {one for one in audiences if isinstance(one, str)}
    found = [pair for one in texts if (pair := tenants.by_issuer(issuer, one)) is not None]
    return found[0] if len(found) == 1 else None


def _is_now(claims: dict[str, Any], now: float) -> bool:
    """Whether it has an end that is not past, and no beginning that is still to come."""
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if "exp" not in times or not all(_is_time(value) for value in times.values()):
        return False
    begun = max(times.get("nbf", 0), times.get("iat", 0))
    return bool(begun - LEEWAY_SECONDS <= now < times["exp"] + LEEWAY_SECONDS)


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LAST_SECOND


def _is_signed(token: str, algorithm: Algorithm, key: Any) -> bool:
    """By PyJWT. Its reading of the claims is not needed: what was signed is the text that was read here."""
    import jwt

    try:
        jwt.PyJWS(algorithms=[algorithm]).decode_complete(token, key, algorithms=[algorithm])
    except (jwt.exceptions.PyJWTError, ValueError):
        return False
    return True
