"""The string that X-Ca-* signatures are made of, the same in both gateways but for the case of header names.

Sources: "Request signature instructions" of the traditional API Gateway, and the hmac-auth plug-in of the cloud-native
one with its open source (alibaba/higress, plugins/wasm-cpp/extensions/hmac_auth).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

UNSIGNED = frozenset({"x-ca-signature", "x-ca-signature-headers", "accept", "content-md5", "content-type", "date"})
FORM = "application/x-www-form-urlencoded"


def string_to_sign(method: str, raw_path: str, headers: Mapping[str, str], body: bytes, *, fold: bool) -> str:
    """Method, four headers, the headers named in `X-Ca-Signature-Headers`, then path and parameters.

    Parameters
    ----------
    raw_path
        Path and query as they came.
    headers
        A mapping that does not care for the case of names.
    body
        Its parameters take part when it is a form.
    fold
        Header names in lower case (cloud-native); else as the client listed them (traditional).
    """
    lines = [method.upper(), *(headers.get(name, "") for name in ("Accept", "Content-MD5", "Content-Type", "Date"))]
    listed = [name.strip() for name in headers.get("X-Ca-Signature-Headers", "").split(",") if name.strip()]
    names = sorted({name.lower() if fold else name for name in listed if name.lower() not in UNSIGNED})
    lines += [f"{name}:{headers.get(name, '')}" for name in names]
    path, _, query = raw_path.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if is_form(headers):
        pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)  # of several values the first is signed
    parameters = "&".join(f"{name}={value}" if value else name for name, value in sorted(first.items()))
    return "\n".join([*lines, f"{path}?{parameters}" if parameters else path])


def is_form(headers: Mapping[str, str]) -> bool:
    """Whether the body is a form, whose parameters are signed instead of its MD5."""
    return FORM in headers.get("Content-Type", "").lower()


def signature(secret: str, text: str, method: str) -> str:
    """Base64 of the HMAC; SHA-256 unless `X-Ca-Signature-Method` says `HmacSHA1`."""
    algorithm = hashlib.sha1 if method == "HmacSHA1" else hashlib.sha256
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()


def verifies(secret: str, text: str, headers: Mapping[str, str]) -> bool:
    """Whether `X-Ca-Signature` is that of `text`."""
    expected = signature(secret, text, headers.get("X-Ca-Signature-Method", ""))
    return hmac.compare_digest(expected.encode(), headers.get("X-Ca-Signature", "").encode("utf-8", "replace"))


def md5_differs(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a Content-MD5 was sent that is not the body's."""
    sent = headers.get("Content-MD5", "")
    return bool(sent) and sent != base64.b64encode(hashlib.md5(body).digest()).decode()


def on_one_line(text: str) -> str:
    """As error headers carry a string to sign: `#` for line ends, nothing that a header cannot hold."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text.replace("\n", "#"))
