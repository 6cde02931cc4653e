"""The id of a prompt: an HMAC over everything that can be heard, so that it cannot be guessed from the text.

A plain hash of "Your code is 482913" would let anyone who knows the sentence find the code by trying URLs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Final

ID: Final = re.compile(r"k[1-9][0-9]{0,2}[a-z2-7]{52}")
ONCE: Final = re.compile(r"once/[a-z2-7]{52}")


def canonical(audible: Mapping[str, str | int]) -> bytes:
    """The mapping as RFC 8785 has it: names sorted, no blanks, UTF-8.

    For strings without lone surrogates and for integers below 2**53 under ASCII names, which is all we have, Python's
    own encoder writes exactly that.
    """
    text = json.dumps(audible, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def prompt_id(key_version: int, url_key: bytes, audible: Mapping[str, str | int]) -> str:
    """`k`, the key's version, and 52 characters of lower-case base32: the HMAC-SHA-256 under the tenant's URL key."""
    return f"k{key_version}" + _base32(hmac.new(url_key, canonical(audible), hashlib.sha256).digest())


def once() -> str:
    """The place of a prompt that nobody shall find again: `once/` and 256 random bits."""
    return "once/" + _base32(secrets.token_bytes(32))


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()
