"""Who signed this request? V1 and V4, in the header and in the query, with long-lived keys and STS sessions."""

from __future__ import annotations

import calendar
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.oss import signatures
from localcloud.oss.errors import OssError, invalid_argument, not_implemented
from localcloud.oss.numbers import whole
from localcloud.oss.signatures import Headers
from localcloud.oss.target import Target

MAX_SKEW_SECONDS = 15 * 60
_LAST_SECOND = 253_402_300_799  # of the year 9999
MAX_EXPIRES_SECONDS = 7 * 24 * 3600  # of a V4 presigned URL
V4_PAYLOAD = "UNSIGNED-PAYLOAD"
_FORM_V1 = ("policy", "ossaccesskeyid", "signature")
_FORM_V4 = ("policy", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-signature")
_V4_FIELD = re.compile(r"\s*(Credential|AdditionalHeaders|Signature)=([^,\s]*)\s*")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key signed, and whether the URL was presigned."""

    key: AccessKey
    presigned: bool


@dataclass(frozen=True, slots=True)
class _Scope:
    access_key_id: str
    text: str  # date/region/oss/aliyun_v4_request
    date: str


class Authenticator:
    """Checks signatures against one account's keys.

    Skew is judged by the machine's own time, which clients on this machine share; expiry by the movable clock, so that
    a test can let a presigned URL or a session expire without every client then being refused for its clock.
    """

    def __init__(self, account: Account, clock: Clock) -> None:
        self._account = account
        self._clock = clock

    def identify(self, target: Target, headers: Headers) -> Caller | None:
        """The caller, or None for an anonymous request.

        Raises
        ------
        OssError
            As OSS refuses: wrong key, token, signature, time, or a form of signature that is not served here.
        """
        authorization = headers.get("authorization", "")
        in_query = target.has("Signature") or target.has("x-oss-signature") or target.has("OSSAccessKeyId")
        if authorization and in_query:
            raise OssError("InvalidArgument", "Only one auth mechanism allowed.")
        if authorization.startswith(signatures.ALGORITHM_V4 + " "):
            return self._v4_header(target, headers, authorization)
        if authorization.startswith("OSS "):
            return self._v1_header(target, headers, authorization)
        if authorization.startswith("OSS2 ") or target.first("x-oss-signature-version") == "OSS2":
            raise not_implemented("signature version 2")
        if authorization:
            raise invalid_argument("Authorization header is invalid.", "Authorization", authorization.split(" ")[0])
        if target.has("x-oss-signature"):
            return self._v4_query(target, headers)
        if in_query:
            return self._v1_query(target, headers)
        return None

    def identify_form(self, fields: Mapping[str, str]) -> Caller:
        """The caller who signed the policy of a form (fields by lower-case name).

        Sources: help.aliyun.com/en/oss/developer-reference/postobject and .../signature-version-4-recommend.

        Raises
        ------
        OssError
            As OSS refuses; `InvalidArgument` when a field of the signature is missing.
        """
        version4 = "x-oss-signature-version" in fields or "x-oss-signature" in fields
        needed = _FORM_V4 if version4 else _FORM_V1
        for name in needed:
            if not fields.get(name):
                raise invalid_argument(f"The form field {name} is missing.", name, "")
        if not version4:
            key = self._key(fields["ossaccesskeyid"], fields.get("x-oss-security-token"))
            expected = signatures.v1_signature(key.access_key_secret, fields["policy"])
            _compare(expected, fields["signature"], key, fields["policy"], "")
        else:
            if fields["x-oss-signature-version"] != signatures.ALGORITHM_V4:
                raise invalid_argument(
                    "Invalid signature version.", "x-oss-signature-version", fields["x-oss-signature-version"]
                )
            signed_at, now = _iso_time(fields["x-oss-date"]), self._clock.now()
            if signed_at is None:
                raise invalid_argument("The date is malformed.", "x-oss-date", fields["x-oss-date"])
            if now > signed_at + MAX_EXPIRES_SECONDS:
                raise self._expired_url(signed_at + MAX_EXPIRES_SECONDS)
            if signed_at > now + MAX_SKEW_SECONDS:
                raise OssError("AccessDenied", "Request is not valid yet.")
            scope = self._scope(fields["x-oss-credential"], fields["x-oss-date"])
            key = self._key(scope.access_key_id, fields.get("x-oss-security-token"))
            expected = signatures.v4_signature(key.access_key_secret, scope.text, fields["policy"])
            _compare(expected, fields["x-oss-signature"], key, fields["policy"], "")
        self._check_session(key)
        return Caller(key, presigned=False)

    def _v1_header(self, target: Target, headers: Headers, authorization: str) -> Caller:
        access_key_id, colon, provided = authorization[4:].strip().rpartition(":")
        if not colon:
            raise invalid_argument("Authorization header is invalid.", "Authorization", authorization)
        date = headers.get("x-oss-date") or headers.get("date", "")
        self._check_skew(_http_time(date), date)
        key = self._key(access_key_id, headers.get("x-oss-security-token") or headers.get("security-token"))
        string_to_sign = signatures.v1_string_to_sign(target, headers, date)
        expected = signatures.v1_signature(key.access_key_secret, string_to_sign)
        _compare(expected, provided, key, string_to_sign, "0002-00000040")
        self._check_session(key)
        return Caller(key, presigned=False)

    def _v1_query(self, target: Target, headers: Headers) -> Caller:
        access_key_id, expires = target.first("OSSAccessKeyId"), target.first("Expires")
        provided = target.first("Signature")
        if not access_key_id or not expires or not provided:
            raise OssError("AccessDenied", "Signature, Expires and OSSAccessKeyId parameters are required.")
        expires_at = whole(expires)
        if expires_at is None or expires_at > _LAST_SECOND:
            raise OssError("AccessDenied", "Invalid date (should be seconds since epoch): " + expires[:32])
        if self._clock.now() > expires_at:
            raise self._expired_url(expires_at)
        key = self._key(access_key_id, target.first("security-token"))
        string_to_sign = signatures.v1_string_to_sign(target, headers, expires)
        expected = signatures.v1_signature(key.access_key_secret, string_to_sign)
        _compare(expected, provided, key, string_to_sign, "0002-00000040")
        self._check_session(key)
        return Caller(key, presigned=True)

    def _v4_header(self, target: Target, headers: Headers, authorization: str) -> Caller:
        fields: dict[str, str] = {}
        for part in authorization[len(signatures.ALGORITHM_V4) :].split(","):
            match = _V4_FIELD.fullmatch(part)
            if match is None:
                raise invalid_argument("Authorization header is invalid.", "Authorization", part.strip())
            fields[match[1]] = match[2]
        if "Credential" not in fields or "Signature" not in fields:
            raise invalid_argument("Authorization header is invalid.", "Authorization", authorization)
        payload = headers.get("x-oss-content-sha256", "")
        if payload != V4_PAYLOAD:
            raise invalid_argument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD.", "x-oss-content-sha256", payload)
        timestamp = headers.get("x-oss-date", "")
        self._check_skew(_iso_time(timestamp), timestamp)
        scope = self._scope(fields["Credential"], timestamp)
        key = self._key(scope.access_key_id, headers.get("x-oss-security-token"))
        additional = _additional(fields.get("AdditionalHeaders", ""), headers)
        self._verify_v4(target, headers, scope, timestamp, additional, fields["Signature"], key)
        return Caller(key, presigned=False)

    def _v4_query(self, target: Target, headers: Headers) -> Caller:
        version = target.first("x-oss-signature-version")
        if version != signatures.ALGORITHM_V4:
            raise invalid_argument("Invalid signature version.", "x-oss-signature-version", version or "")
        timestamp, expires = target.first("x-oss-date") or "", target.first("x-oss-expires") or ""
        signed_at = _iso_time(timestamp)
        if signed_at is None:
            raise OssError("AccessDenied", "Invalid signing date in x-oss-date.")
        life = whole(expires)
        if life is None or not 1 <= life <= MAX_EXPIRES_SECONDS:
            raise invalid_argument("x-oss-expires must be between 1 and 604800.", "x-oss-expires", expires[:32])
        if self._clock.now() > signed_at + life:
            raise self._expired_url(signed_at + life)
        if signed_at > self._clock.now() + MAX_SKEW_SECONDS:
            raise OssError("AccessDenied", "Request is not valid yet.")
        scope = self._scope(target.first("x-oss-credential") or "", timestamp)
        key = self._key(scope.access_key_id, target.first("x-oss-security-token"))
        additional = _additional(target.first("x-oss-additional-headers") or "", headers)
        self._verify_v4(target, headers, scope, timestamp, additional, target.first("x-oss-signature") or "", key)
        return Caller(key, presigned=True)

    def _verify_v4(
        self,
        target: Target,
        headers: Headers,
        scope: _Scope,
        timestamp: str,
        additional: list[str],
        provided: str,
        key: AccessKey,
    ) -> None:
        payload = headers.get("x-oss-content-sha256", V4_PAYLOAD)
        canonical = signatures.v4_canonical_request(target, headers, additional, payload)
        string_to_sign = signatures.v4_string_to_sign(timestamp, scope.text, canonical)
        expected = signatures.v4_signature(key.access_key_secret, scope.text, string_to_sign)
        _compare(expected, provided, key, string_to_sign, "0002-00000224", canonical)
        self._check_session(key)

    def _scope(self, credential: str, timestamp: str) -> _Scope:
        access_key_id, _, text = credential.partition("/")
        parts = text.split("/")
        if len(parts) != 4 or parts[3] != "aliyun_v4_request":
            raise invalid_argument("The credential is malformed.", "x-oss-credential", credential)
        if parts[0] != timestamp[:8]:
            raise invalid_argument(
                "The date of the credential is not that of x-oss-date.", "x-oss-credential", parts[0]
            )
        if parts[1] != self._account.region:
            raise invalid_argument("Invalid signing region in Authorization header.", "x-oss-credential", parts[1])
        if parts[2] != "oss":
            raise invalid_argument("Invalid signing product in Authorization header.", "x-oss-credential", parts[2])
        return _Scope(access_key_id, text, parts[0])

    def _key(self, access_key_id: str, security_token: str | None) -> AccessKey:
        key = self._account.find(access_key_id)
        if key is None or bool(key.security_token) != bool(security_token):
            # A session's id without its token is as unknown to OSS as any other id, and so is a long-lived one with a
            # token: the token makes it look among the sessions (EC 0002-00000002).
            raise OssError("InvalidAccessKeyId", fields={"OSSAccessKeyId": access_key_id})
        if not hmac.compare_digest(key.security_token.encode(), (security_token or "").encode("utf-8", "replace")):
            raise OssError("InvalidSecurityToken")
        return key

    def _check_session(self, key: AccessKey) -> None:
        if self._account.expired(key):
            raise OssError("SecurityTokenExpired")

    def _check_skew(self, sent_at: float | None, text: str) -> None:
        if sent_at is None:
            raise OssError("AccessDenied", "OSS authentication requires a valid Date.")
        now = self._clock.client_now()
        if abs(now - sent_at) > MAX_SKEW_SECONDS:
            fields = {"MaxAllowedSkewMilliseconds": str(MAX_SKEW_SECONDS * 1000), "RequestTime": text}
            raise OssError("RequestTimeTooSkewed", fields={**fields, "ServerTime": _iso(now)})

    def _expired_url(self, expires_at: float) -> OssError:
        fields = {"Expires": _iso(expires_at), "ServerTime": _iso(self._clock.now())}
        return OssError("AccessDenied", "Request has expired.", fields=fields, ec="0002-00000069")


def _compare(expected: str, provided: str, key: AccessKey, text: str, ec: str, canonical: str = "") -> None:
    if hmac.compare_digest(expected.encode(), provided.encode("utf-8", "replace")):
        return
    data = text.encode("utf-8", "surrogateescape")
    fields = {
        "OSSAccessKeyId": key.access_key_id,
        "SignatureProvided": provided,
        "StringToSign": data.decode("utf-8", "replace"),
        "StringToSignBytes": data.hex(" ").upper(),
    }
    if canonical:
        fields["CanonicalRequest"] = canonical.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    raise OssError("SignatureDoesNotMatch", fields=fields, ec=ec)


def _additional(text: str, headers: Headers) -> list[str]:
    names = [name for name in text.split(";") if name]
    for name in names:
        if name not in headers:
            raise invalid_argument("A signed additional header is missing.", "AdditionalHeaders", name)
    return names


def _http_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return _iso_time(text)


def _iso_time(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return None


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
