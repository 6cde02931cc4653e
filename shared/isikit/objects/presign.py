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
from urllib.parse import urlsplit

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
        Wall time, epoch seconds, for forms; oss2 signs URLs by its own.
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
        import oss2

        bucket = oss2.Bucket(
            oss2.ProviderAuthV4(self._provider),
            self._endpoint,
            self.bucket,
            is_cname=self._is_custom_domain(),
            region=self._region,
        )
        url = bucket.sign_url(
            "PUT",
            key,
            seconds,
            headers={**headers, "Content-Length": str(size_bytes)},
            slash_safe=True,
            additional_headers={"content-length"},
        )
        return SignedRequest(url, dict(headers), {})

    def get(self, key: str, *, seconds: int) -> str:
        """A URL by which its holder may read one object, whatever it is by then."""
        import oss2

        bucket = oss2.Bucket(
            oss2.ProviderAuthV4(self._provider),
            self._endpoint,
            self.bucket,
            is_cname=self._is_custom_domain(),
            region=self._region,
        )
        return str(bucket.sign_url("GET", key, seconds, slash_safe=True))

    def form(
        self, key: str, *, seconds: int, least_bytes: int, most_bytes: int, fields: Mapping[str, str]
    ) -> SignedRequest:
        """The fields of a PostObject form whose file has `least_bytes` to `most_bytes`.

        Every one of `fields` is bound to its value, and so are bucket and key.
        """
        now, credentials = self._clock(), self._provider.current()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        scope = f"{stamp[:8]}/{self._region}/oss/aliyun_v4_request"
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


def _signature(secret: str, scope: str, text: str) -> str:
    key = b"aliyun_v4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
