"""Rights to upload or to read one object, signed here, without a call to OSS: a form for browsers, a PUT, a GET.

Signature V4 only. Everything that is signed is bound: OSS refuses the upload when one value differs. Sources:
help.aliyun.com/en/oss/developer-reference/postobject, .../signature-version-4-recommend, .../add-signatures-to-urls.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from isikit.config import is_loopback

if TYPE_CHECKING:
    from isikit.credentials import Credentials

_ALGORITHM: Final = "OSS4-HMAC-SHA256"
_OWN_DOMAIN: Final = ".aliyuncs.com"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An upload that its holder may make once or more until it expires.

    Attributes
    ----------
    url
        Where to; of a PUT it carries the signature.
    headers
        What a PUT must send, beside the exact Content-Length that was signed.
    fields
        What a form must send, all of them, before its `file`.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    fields: dict[str, str] = field(repr=False)


class Presigner:
    """Signs uploads into one bucket with the credentials of the latest request.

    A signature lives no longer than the credentials it was made with, whatever is asked for: those of a request live
    for hours, so ask for minutes.

    Parameters
    ----------
    bucket, region
        As OSS names them.
    endpoint
        `ISI_OSS_PUBLIC`: an endpoint of OSS (`*.aliyuncs.com`, or an IP address, which is used path-style), else a
        custom domain that is bound to the bucket.
    provider
        Whose credentials sign, asked for each signature.
    clock
        Wall time, epoch seconds, best by OSS (`Tenants.now`): it dates and ends what is signed.
    """

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        region: str,
        provider: Credentials,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bucket = bucket
        self._endpoint = endpoint
        self._region = region
        self._provider = provider
        self._clock = clock

    def put(self, key: str, *, seconds: int, size_bytes: int, headers: Mapping[str, str]) -> SignedRequest:
        """A URL for one PUT of exactly `size_bytes` with exactly these headers.

        V4 signs `Content-Type` and every `x-oss-*` header that is sent, so none can be changed, left out or added.
        """
        return SignedRequest(self._signed_url("PUT", key, seconds, headers, size_bytes), dict(headers), {})

    def get(self, key: str, *, seconds: int) -> str:
        """A URL by which its holder may read one object, whatever it is by then."""
        return self._signed_url("GET", key, seconds, {}, None)

    def form(
        self, key: str, *, seconds: int, least_bytes: int, most_bytes: int, fields: Mapping[str, str]
    ) -> SignedRequest:
        """The fields of a PostObject form whose file has `least_bytes` to `most_bytes`.

        Every one of `fields` is bound to its value, and so are bucket and key.
        """
        now, credentials = self._clock(), self._provider.current()
        stamp, scope = self._stamped(now)
        bound = {
            "key": key,
            **fields,
            "x-oss-signature-version": _ALGORITHM,
            "x-oss-credential": f"{credentials.access_key_id}/{scope}",
            "x-oss-date": stamp,
        }
        if credentials.security_token:
            bound["x-oss-security-token"] = credentials.security_token
        conditions: list[Any] = [{"bucket": self.bucket}, ["content-length-range", least_bytes, most_bytes]]
        conditions += [["eq", f"${name}", value] for name, value in bound.items()]
        expiration = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now + seconds))
        document = json.dumps({"expiration": expiration, "conditions": conditions})
        policy = base64.b64encode(document.encode()).decode()
        signature = _signature(credentials.access_key_secret, scope, policy)
        return SignedRequest(self._bucket_url(), {}, {**bound, "policy": policy, "x-oss-signature": signature})

    def _signed_url(
        self, method: str, key: str, seconds: int, headers: Mapping[str, str], size_bytes: int | None
    ) -> str:
        """By signature V4 in the query. Not by oss2, which dates it by this machine's clock."""
        credentials = self._provider.current()
        stamp, scope = self._stamped(self._clock())
        query = {
            "x-oss-credential": f"{credentials.access_key_id}/{scope}",
            "x-oss-date": stamp,
            "x-oss-expires": str(seconds),
            "x-oss-signature-version": _ALGORITHM,
        }
        signed, additional = {name.lower(): value for name, value in headers.items()}, ""
        if size_bytes is not None:
            signed["content-length"] = str(size_bytes)
            query["x-oss-additional-headers"] = additional = "content-length"
        if credentials.security_token:
            query["x-oss-security-token"] = credentials.security_token
        told = "&".join(f"{name}={_quoted(value)}" for name, value in sorted(query.items()))
        path = quote(f"/{self.bucket}/{key}", safe="/")
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(signed.items()))
        asked = f"{method}\n{path}\n{told}\n{lines}\n{additional}\nUNSIGNED-PAYLOAD"
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        signature = _signature(credentials.access_key_secret, scope, text)
        return f"{self._bucket_url()}{quote(key, safe='/')}?{told}&x-oss-signature={signature}"

    def _stamped(self, now: float) -> tuple[str, str]:
        """The date of a signature, and what it is good for."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        return stamp, f"{stamp[:8]}/{self._region}/oss/aliyun_v4_request"

    def _is_custom_domain(self) -> bool:
        host = urlsplit(self._endpoint).hostname or ""
        return not host.endswith(_OWN_DOMAIN) and not is_loopback(self._endpoint)

    def _bucket_url(self) -> str:
        """Where forms are posted to, by oss2's own rules for addresses."""
        parts = urlsplit(self._endpoint)
        try:
            ipaddress.ip_address(parts.hostname or "")
        except ValueError:
            host = parts.netloc if self._is_custom_domain() else f"{self.bucket}.{parts.netloc}"
            return f"{parts.scheme}://{host}/"
        return f"{self._endpoint}/{self.bucket}/"


def _quoted(value: str) -> str:
    return quote(value, safe="")


def _signature(secret: str, scope: str, text: str) -> str:
    key = b"aliyun_v4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
