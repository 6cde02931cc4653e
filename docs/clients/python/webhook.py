"""Receiver's side of the completion webhook: is this call ours, and was it seen before?

Nothing but the standard library is needed. The calls follow the Standard Webhooks specification
(standardwebhooks.com), so its libraries check them too; with those, write the secret as `whsec_` and base64.

Answer 2xx within 5 seconds, once the event is stored on your side: do the work afterwards. Every other answer means
"again later"; 410 means "never again for this event". The same event may come several times: its id is the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

TOLERANCE_SECONDS = 300
"""A call that was recorded on its way is of no use later."""


class NotOurs(Exception):
    """The call proves nothing: answer 401 and forget it."""


def verified_id(headers: Mapping[str, str], body: bytes, secret: str, *, now: float | None = None) -> str:
    """The event's id, if the call is signed with the secret.

    Parameters
    ----------
    headers
        Of the request.
    body
        Exactly as it came, not parsed and written again.
    secret
        As in the service's key file.
    now
        Epoch seconds, for tests.

    Raises
    ------
    NotOurs
        A header is missing, the time is wrong, or no signature fits.
    """
    folded = {name.lower(): value for name, value in headers.items()}
    identifier, at = folded.get("webhook-id", ""), folded.get("webhook-timestamp", "")
    if not at.isascii() or not at.isdigit() or abs((time.time() if now is None else now) - int(at)) > TOLERANCE_SECONDS:
        raise NotOurs("its time is missing, or too far from ours")
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    proof = base64.b64encode(hmac.digest(key, b".".join((identifier.encode(), at.encode(), body)), hashlib.sha256))
    # Several, parted by blanks, while a secret is being exchanged; `v1` is HMAC-SHA-256.
    for signature in folded.get("webhook-signature", "").split(" "):
        version, _, sent = signature.partition(",")
        if version == "v1" and hmac.compare_digest(proof, sent.encode()):
            return identifier
    raise NotOurs("no signature fits")
