"""`Authorization: FC id:signature`, the HMAC-SHA256 of the API 2016-08-15 (help.aliyun.com/document_detail/52877).

What is signed, joined by newlines: method, Content-MD5, Content-Type, Date, the `x-fc-*` headers (lower case, sorted,
`name:value`), and the path as it reads decoded. Requests to HTTP functions (`/proxy/`) sign a further line for each
query parameter, decoded and sorted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote

from localcloud.account import AccessKey, Account
from localcloud.fc.errors import FcError, invalid

TOLERANCE_SECONDS = 15 * 60


def verify(
    account: Account,
    *,
    method: str,
    raw_path: str,
    raw_query: str | None,
    headers: Mapping[str, str],
    body: bytes,
) -> AccessKey:
    """Return the key that signed the request.

    Parameters
    ----------
    raw_query
        `None` when the query is not signed.
    headers
        Compared without regard to case.

    Raises
    ------
    FcError
        400 for what is missing or malformed, 403 for a wrong key, a wrong or stale signature and expired credentials.
    """
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    access_key_id, colon, signature = credential.strip().partition(":")
    if not credential:
        raise FcError(400, "MissingRequiredHeader", "required HTTP header Authorization was not specified")
    if scheme != "FC" or not colon:
        raise invalid("Authorization is `FC <access key ID>:<signature>`")
    key = account.find(access_key_id)
    if key is None:
        raise FcError(403, "InvalidAccessKeyID", f"invalid access key ID '{access_key_id}'")
    _check_date(account, headers)
    expected = hmac.new(
        key.access_key_secret.encode(), _signed(method, raw_path, raw_query, headers).encode(), hashlib.sha256
    ).digest()
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if not hmac.compare_digest(expected, given):
        raise FcError(
            403,
            "SignatureNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your access key and signing method",
        )
    _check_content_md5(headers, body)
    if not hmac.compare_digest(key.security_token, headers.get("x-fc-security-token", "")):
        raise FcError(403, "InvalidSecurityToken.Malformed", "the security token does not belong to the access key")
    if account.expired(key):
        raise FcError(403, "InvalidSecurityToken.Expired", "the security token has expired")
    return key


def _signed(method: str, raw_path: str, raw_query: str | None, headers: Mapping[str, str]) -> str:
    platform = sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith("x-fc-"))
    lines = [method, *(headers.get(name, "") for name in ("content-md5", "content-type", "date"))]
    lines += [f"{name}:{value}" for name, value in platform]
    resource = unquote(raw_path)
    if raw_query is not None:
        resource += "\n" + "\n".join(sorted(_parameters(raw_query)))
    return "\n".join([*lines, resource])


def _parameters(raw_query: str) -> list[str]:
    named = {pair.partition("=")[0] for pair in raw_query.split("&") if "=" in pair}
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    return [f"{name}={value}" if name in named or value else name for name, value in pairs]


def _check_date(account: Account, headers: Mapping[str, str]) -> None:
    try:
        signed_at = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError) as error:
        raise FcError(400, "MissingRequiredHeader", "required HTTP header Date was not specified") from error
    if abs(signed_at - account.clock.client_now()) > TOLERANCE_SECONDS:
        raise FcError(403, "AccessDenied", "the Date of the request differs from the server's by over 15 minutes")


def _check_content_md5(headers: Mapping[str, str], body: bytes) -> None:
    """Refuse a body that is not the one whose Content-MD5 was signed, in hex (FC's SDKs) or base64 (RFC 1864)."""
    given = headers.get("content-md5", "")
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    if given and given.lower() != digest.hex() and given != base64.b64encode(digest).decode():
        raise invalid("Content-MD5 is not that of the body")
