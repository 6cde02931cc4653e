"""The signature of POP's RPC style, over the parameters of the query and of the form together.

Source: help.aliyun.com/zh/sdk/product-overview/rpc-mechanism; equal to aliyunsdkcore 2.16's composer, which signs
`SignatureType=` too because it sends it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import quote

Parameters = Iterable[tuple[str, str]]


def string_to_sign(method: str, parameters: Parameters) -> str:
    """METHOD, `/` and the sorted parameters, percent-encoded by RFC 3986 and joined; `Signature` itself is left out."""
    pairs = sorted((name, value) for name, value in parameters if name != "Signature")
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in pairs)
    return f"{method}&%2F&{_encode(query)}"


def signature(secret: str, text: str) -> str:
    """Base64 of HMAC-SHA1 with the secret and an ampersand as key."""
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def _encode(text: str) -> str:
    return quote(text, safe="~")
