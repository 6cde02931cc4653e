"""Consumers of the cloud-native gateway: who may call, and how each proves it.

Sources: pages "Manage consumers" and "Consumer authentication and authorization" of Cloud-native API Gateway; the error
texts are those of the plug-ins key-auth, jwt-auth and hmac-auth, whose open source is alibaba/higress.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from localcloud.clock import Clock
from localcloud.gateway import jwt, signing

METHODS = ("api_key", "jwt", "hmac")
BEARER = "Bearer "


class Denied(Exception):
    """A refusal in the gateway's own form: a status and a line of text, at times with a header."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {text}")
        self.status, self.text, self.headers = status, text, dict(headers or {})


@dataclass(frozen=True, slots=True)
class Consumer:
    """One caller. `method` says which of the other fields count.

    Parameters
    ----------
    source, source_name
        Where an API key is looked for: `bearer` (`Authorization: Bearer KEY`), `header` or `query` of that name.
    jwks, issuer, claim, claim_value
        Keys of a JWT, its `iss` (any when empty), and the claim that names this consumer (`uid` unless told).
    key, secret
        `x-ca-key` and the secret of HMAC signatures.
    """

    name: str
    method: str
    api_key: str = field(default="", repr=False)
    source: str = "bearer"
    source_name: str = ""
    jwks: tuple[dict[str, Any], ...] = ()
    issuer: str = ""
    claim: str = "uid"
    claim_value: str = ""
    key: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client sent, as far as it can prove who it is. `headers` does not care for the case of names."""

    method: str
    raw_path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = field(repr=False)


def presents(asked: Presented, methods: Sequence[str], consumers: Sequence[Consumer]) -> str:
    """Which of the route's methods the client uses; empty when it presents nothing."""
    if "hmac" in methods and ("x-ca-key" in asked.headers or "x-ca-signature" in asked.headers):
        return "hmac"
    bearer = _bearer(asked)
    if "jwt" in methods and bearer and ("api_key" not in methods or bearer.count(".") == 2):
        return "jwt"
    if "api_key" in methods and _api_keys(asked, consumers):
        return "api_key"
    return ""


def authenticate(
    asked: Presented,
    method: str,
    consumers: Sequence[Consumer],
    allow: frozenset[str],
    clock: Clock,
    date_offset_seconds: int,
) -> Consumer:
    """The consumer that `asked` proves to be.

    Raises
    ------
    Denied
        401 for a proof that is wrong or missing (HMAC: 400 for a wrong signature), 403 for one that may not come here.
    """
    ours = [consumer for consumer in consumers if consumer.method == method]
    if method == "api_key":
        return _by_api_key(asked, ours, allow)
    if method == "jwt":
        return _by_jwt(asked, ours, allow, clock.now())
    return _by_hmac(asked, ours, allow, clock.client_now(), date_offset_seconds)


def _by_api_key(asked: Presented, consumers: Sequence[Consumer], allow: frozenset[str]) -> Consumer:
    sent = _api_keys(asked, consumers)
    if not sent:
        raise _key_refused(401, "No API key found in request")
    if len(sent) > 1:
        raise _key_refused(401, "Multi API key found in request")
    ((source, name, value),) = sent
    for consumer in consumers:
        here = (consumer.source, consumer.source_name) == (source, name)
        if here and hmac.compare_digest(consumer.api_key.encode(), value.encode("utf-8", "replace")):
            if consumer.name not in allow:
                raise _key_refused(403, "Unauthorized consumer")
            return consumer
    raise _key_refused(401, "Invalid API key")


def _key_refused(status: int, reason: str) -> Denied:
    realm = {"WWW-Authenticate": "Key realm=MSE Gateway"}
    return Denied(status, f"Request denied by Key Auth check. {reason}", realm)


def _api_keys(asked: Presented, consumers: Sequence[Consumer]) -> set[tuple[str, str, str]]:
    found = set()
    for consumer in consumers:
        if consumer.method != "api_key":
            continue
        if consumer.source == "bearer":
            value = _bearer(asked)
        else:
            value = (asked.headers if consumer.source == "header" else asked.query).get(consumer.source_name, "")
        if value:
            found.add((consumer.source, consumer.source_name, value))
    return found


def _by_jwt(asked: Presented, consumers: Sequence[Consumer], allow: frozenset[str], now: float) -> Consumer:
    token = _bearer(asked)
    if not token:
        raise Denied(401, "Jwt missing")
    try:
        _, claims, _, _ = jwt.decoded(token)
        for consumer in consumers:
            named = str(claims.get(consumer.claim, "")) == (consumer.claim_value or consumer.name)
            issued = not consumer.issuer or claims.get("iss") == consumer.issuer
            if named and issued and jwt.signed_by(token, list(consumer.jwks)):
                jwt.check_times(claims, now)
                if consumer.name not in allow:
                    raise Denied(403, "Access Denied")
                return consumer
    except jwt.JwtError as error:
        raise Denied(401, str(error)) from error
    raise Denied(401, "Jwt verification fails")


def _by_hmac(
    asked: Presented, consumers: Sequence[Consumer], allow: frozenset[str], now: float, date_offset_seconds: int
) -> Consumer:
    """In the plug-in's order: the key, the right to come here, the signature's presence, the date, the signature."""
    headers = asked.headers
    consumer = next((one for one in consumers if one.key == headers.get("x-ca-key", "")), None)
    if consumer is None:
        raise Denied(401, "Invalid Key")
    if consumer.name not in allow:
        raise Denied(403, "Unauthorized Consumer")
    if not headers.get("x-ca-signature"):
        raise Denied(401, "Empty Signature")
    if date_offset_seconds and not _dated(headers, now, date_offset_seconds):
        raise Denied(400, "Invalid Date")
    text = signing.string_to_sign(asked.method, asked.raw_path, headers, asked.body, fold=True)
    if not signing.verifies(consumer.secret, text, headers):
        told = f"Server StringToSign:`{signing.on_one_line(text)}`"
        raise Denied(400, "Invalid Signature", {"X-Ca-Error-Message": told})
    if not signing.is_form(headers) and signing.md5_differs(headers, asked.body):
        raise Denied(400, "Invalid Content-MD5")
    return consumer


def _dated(headers: Mapping[str, str], now: float, offset_seconds: int) -> bool:
    """The `Date` header, or `x-ca-timestamp` (seconds, or milliseconds from 13 digits on), within the offset."""
    try:
        if headers.get("Date"):
            at = parsedate_to_datetime(headers["Date"]).timestamp()
        else:
            text = headers.get("x-ca-timestamp", "")
            at = int(text) / 1000 if len(text) >= 13 else float(int(text))
    except (ValueError, TypeError, OverflowError):
        return False
    return abs(at - now) <= offset_seconds


def _bearer(asked: Presented) -> str:
    value = asked.headers.get("Authorization", "")
    return value[len(BEARER) :].strip() if value.startswith(BEARER) else ""
