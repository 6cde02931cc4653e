"""An asynchronous call of this function to itself, for work that nobody waits for.

Nothing may run after a response, because Function Compute freezes the instance then. What a caller does not wait for
is therefore a new invocation, by the API of Function Compute (2023-03-30), signed with ACS3-HMAC-SHA256. It comes back
as an event, by the platform's own path, where it may be believed; the function's role needs fc:InvokeFunction for it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from isikit import logs
from isikit.credentials import Credentials, StsCredentials
from isikit.errors import IsiError, invocation_error
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    import requests

    from isikit.config import Settings

API_VERSION: Final = "2023-03-30"
QUALIFIER: Final = "live"
TIMEOUT_SECONDS: Final = (2.0, 3.0)
THREADS: Final = 4


class SelfInvocation:
    """Invokes this function asynchronously.

    Parameters
    ----------
    endpoint
        Base of Function Compute's API.
    function_name
        This function's; empty where the platform did not say, and then nothing can be invoked.
    credentials
        Of the latest request.
    """

    def __init__(self, endpoint: str, function_name: str, credentials: Credentials) -> None:
        self._url = f"{endpoint}/{API_VERSION}/functions/{quote(function_name, safe='')}/invocations"
        self._function_name = function_name
        self._credentials = credentials
        self._threads = BoundedThreads("later", THREADS)
        self._session: requests.Session | None = None

    @classmethod
    def from_settings(cls, settings: Settings, credentials: Credentials) -> SelfInvocation:
        """Of the function that this process is an instance of."""
        return cls(settings.fc_endpoint, os.environ.get("FC_FUNCTION_NAME", ""), credentials)

    async def leave(self, event: bytes, **fields: Any) -> bool:
        """Have an event of our own delivered to this function; False where the platform did not take it.

        Parameters
        ----------
        **fields
            Of the log line that says so.
        """
        if not self._function_name:
            return False
        try:
            await self._threads.run(lambda: self._invoke(event))
        except IsiError as error:
            logs.failure("invocation.failed", error, level="warning", **fields)
            return False
        return True

    def _invoke(self, body: bytes) -> None:
        import requests

        from isikit import connections

        if self._session is None:
            self._session = connections.session(THREADS)
        headers = signed(self._url, f"qualifier={QUALIFIER}", body, self._credentials.current())
        try:
            answer = self._session.post(
                f"{self._url}?qualifier={QUALIFIER}", data=body, headers=headers, timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise invocation_error(0, "") from error
        if answer.status_code != 202:
            raise invocation_error(answer.status_code, _code(answer))


def _code(answer: requests.Response) -> str:
    try:
        body = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    code = body.get("Code") or body.get("code") or "" if isinstance(body, dict) else ""
    return code if isinstance(code, str) else ""


def signed(
    url: str,
    query: str,
    body: bytes,
    credentials: StsCredentials,
    *,
    now: Callable[[], float] = time.time,
    nonce: Callable[[], str] = secrets.token_hex,
) -> dict[str, str]:
    """The headers of a signed POST (ACS3-HMAC-SHA256, as the vendor's "signature mechanism V3" page has it).

    Parameters
    ----------
    url
        Without the query.
    query
        In canonical form.
    """
    parts = urlsplit(url)
    digest = hashlib.sha256(body).hexdigest()
    headers = {
        "content-type": "application/octet-stream",
        "host": parts.netloc,
        "x-acs-action": "InvokeFunction",
        "x-acs-content-sha256": digest,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now())),
        "x-acs-signature-nonce": nonce(),
        "x-acs-version": API_VERSION,
    }
    if credentials.security_token:
        headers["x-acs-security-token"] = credentials.security_token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{value.strip()}\n" for name, value in sorted(headers.items()))
    canonical = "\n".join(("POST", parts.path, query, lines, names, digest))
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(credentials.access_key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={credentials.access_key_id},SignedHeaders={names},Signature={signature}"
    )
    return {**headers, "x-fc-invocation-type": "Async"}
