"""ACS3-HMAC-SHA256, the signature of Alibaba Cloud's OpenAPI, verified over the bytes that came in.

The rule is the signature page of the FC 3.0 documentation: the canonical request is method, path, query, headers,
signed header names and the payload's SHA-256, joined by newlines; what is signed is the algorithm's name and the
SHA-256 of that.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from localcloud.account import AccessKey, Account
from localcloud.fc.errors import FcError, invalid

ALGORITHM = "ACS3-HMAC-SHA256"
TOLERANCE_SECONDS = 15 * 60
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-fA-F]{{64}})"
)


def _mismatch(reason: str) -> FcError:
    return FcError(
        403,
        "SignatureNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        f"Check your access key and signing method ({reason})",
    )


class Nonces:
    """Signature nonces seen within the tolerance; one is good for one request."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def use(self, nonce: str) -> bool:
        """Whether `nonce` is new."""
        now = time.monotonic()
        if len(self._seen) > 10_000:
            self._seen = {known: at for known, at in self._seen.items() if now - at < TOLERANCE_SECONDS}
        return self._seen.setdefault(nonce, now) == now


def verify(
    account: Account,
    nonces: Nonces,
    *,
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> AccessKey:
    """Return the key that signed the request.

    `headers` must compare names case-insensitively. Time stamps are judged by the machine's own clock: callers cannot
    follow `POST /clock`.

    Raises
    ------
    FcError
        400 for what is missing, 403 for a wrong key, a wrong or stale signature and expired credentials.
    """
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        raise FcError(
            400, "MissingRequiredHeader", f"required HTTP header Authorization ({ALGORITHM}) was not specified"
        )
    access_key_id, signed_names, signature = match.group(1), match.group(2).split(";"), match.group(3).lower()
    key = account.find(access_key_id)
    if key is None:
        raise FcError(403, "InvalidAccessKeyID", f"invalid access key ID '{access_key_id}'")
    _check_headers(headers, signed_names, body)
    canonical = "\n".join(
        [
            method,
            raw_path,
            _canonical_query(raw_query),
            *[f"{name}:{headers.get(name, '').strip()}" for name in signed_names],
            "",
            ";".join(signed_names),
            headers["x-acs-content-sha256"],
        ]
    )
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    expected = hmac.new(key.access_key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise _mismatch("the signature differs")
    _check_session(account, key, headers.get("x-acs-security-token", ""))
    if not nonces.use(headers["x-acs-signature-nonce"]):
        raise FcError(400, "SignatureNonceUsed", "the signature nonce was used before")
    return key


def _check_headers(headers: Mapping[str, str], signed_names: list[str], body: bytes) -> None:
    for name in ("x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-version"):
        if not headers.get(name):
            raise FcError(400, "MissingRequiredHeader", f"required HTTP header {name} was not specified")
    present = {name.lower() for name in headers if name.lower().startswith("x-acs-")} | {"host"}
    unsigned = present - set(signed_names)
    if unsigned or signed_names != sorted(signed_names):
        raise _mismatch(f"not signed: {', '.join(sorted(unsigned)) or 'header names are not sorted'}")
    if headers["x-acs-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise _mismatch("x-acs-content-sha256 is not that of the body")
    try:
        signed_at = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise invalid("x-acs-date is not of the form 2006-01-02T15:04:05Z") from error
    if abs(signed_at.timestamp() - time.time()) > TOLERANCE_SECONDS:
        raise FcError(403, "InvalidTimeStamp.Expired", "x-acs-date differs from the server's time by over 15 minutes")


def _check_session(account: Account, key: AccessKey, security_token: str) -> None:
    if not hmac.compare_digest(key.security_token, security_token):
        raise FcError(403, "InvalidSecurityToken.Malformed", "the security token does not belong to the access key")
    if account.expired(key):
        raise FcError(403, "InvalidSecurityToken.Expired", "the security token has expired")


def _canonical_query(raw_query: str) -> str:
    pairs = sorted(parse_qsl(raw_query, keep_blank_values=True))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
