"""An independent client's signature: written from the text of the pages, not from the verifier."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from typing import Any


def signed(
    method: str,
    path: str,
    *,
    key: str,
    secret: str,
    query: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
    body: bytes = b"",
    lower: bool = False,
    algorithm: str = "HmacSHA256",
    **more: str,
) -> dict[str, str]:
    """Headers of a signed request; `more` replaces or adds headers (`_` for `-`) before it is signed."""
    headers: dict[str, str] = {
        "Accept": "application/json",
        "X-Ca-Key": key,
        "X-Ca-Timestamp": str(int(time.time() * 1000)),
        "X-Ca-Nonce": str(uuid.uuid4()),
        "X-Ca-Signature-Method": algorithm,
    }
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    elif body:
        headers["Content-Type"] = "application/json; charset=utf-8"
        headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    names = sorted(name for name in headers if name.startswith("X-Ca-"))
    text = method + "\n"
    for name in ("Accept", "Content-MD5", "Content-Type", "Date"):
        text += headers.get(name, "") + "\n"
    for name in names:
        text += f"{name.lower() if lower else name}:{headers[name]}\n"
    parameters: dict[str, Any] = {**(form or {}), **(query or {})}
    resource = path
    if parameters:
        resource += "?" + "&".join(
            name if parameters[name] == "" else f"{name}={parameters[name]}" for name in sorted(parameters)
        )
    text += resource
    digest = hashlib.sha1 if algorithm == "HmacSHA1" else hashlib.sha256
    headers["X-Ca-Signature-Headers"] = ",".join(name.lower() if lower else name for name in names)
    headers["X-Ca-Signature"] = base64.b64encode(hmac.new(secret.encode(), text.encode(), digest).digest()).decode()
    return headers
