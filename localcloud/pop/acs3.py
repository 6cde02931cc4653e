"""POP's third signature, ACS3-HMAC-SHA256, which newer SDKs (Tea) send in the Authorization header.

Source: help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature; proved against the official Tea SDK.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from localcloud.pop.errors import PopError

ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-fA-F]{{64}})"
)
_SIGNED = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")


@dataclass(frozen=True, slots=True)
class Acs3:
    """What a request's headers say of its signature."""

    access_key_id: str
    signature: str
    date: str
    nonce: str
    security_token: str
    text: str

    def matches(self, secret: str) -> bool:
        """Whether the signature is that of the secret."""
        expected = hmac.new(secret.encode(), self.text.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.signature)


def read(method: str, raw_path: str, raw_query: str, headers: Mapping[str, str], body: bytes) -> Acs3:
    """Read the signature and what must have been signed; `headers` compare names case-insensitively.

    Raises
    ------
    PopError
        For a header that is missing, malformed or not signed, and for a payload hash that is not the body's.
    """
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        raise PopError("InvalidSignatureMethod")
    names = match[2].split(";")
    for name in _SIGNED:
        if not headers.get(name):
            raise PopError("MissingParameter", f"The header {name} is mandatory.", status=400)
    sent = {name.lower() for name in headers if name.lower().startswith("x-acs-")}
    payload = headers["x-acs-content-sha256"]
    if not sent.union(_SIGNED).issubset(names) or payload != hashlib.sha256(body).hexdigest():
        raise PopError("SignatureDoesNotMatch")
    canonical = "\n".join(
        (
            method,
            raw_path or "/",
            _canonical_query(raw_query),
            *(f"{name}:{headers.get(name, '').strip()}" for name in names),
            "",
            match[2],
            payload,
        )
    )
    return Acs3(
        match[1],
        match[3].lower(),
        headers["x-acs-date"],
        headers["x-acs-signature-nonce"],
        headers.get("x-acs-security-token", ""),
        f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}",
    )


def _canonical_query(raw_query: str) -> str:
    pairs = sorted(parse_qsl(raw_query, keep_blank_values=True))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
