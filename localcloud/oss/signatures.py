"""OSS signatures V1 and V4, computed over what was really sent. Pure functions, no clock and no account.

V1: help.aliyun.com/zh/oss/developer-reference/include-signatures-in-the-authorization-header
V4: help.aliyun.com/zh/oss/developer-reference/recommend-to-use-signature-version-4
Both were checked against the composers of oss2 2.19 and alibabacloud-oss-v2 1.4, which differ in the escaping of what
they send and agree in what they sign.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from localcloud.oss.target import Target

ALGORITHM_V4 = "OSS4-HMAC-SHA256"

# The parameters that are part of V1's resource. The lists of the SDKs differ; a parameter missing here could be changed
# in a signed URL without breaking the signature, so it is their union.
_SUBRESOURCES = """
    accessPoint accessPointPolicy acl append asyncFetch bucketArchiveDirectRead bucketInfo callback callback-var cname
    cloudboxes comp continuation-token cors delete encryption endTime group httpsConfig inventory inventoryId lifecycle
    link live location logging metaQuery objectInfo objectMeta partNumber policy position publicAccessBlock qos qosInfo
    qosRequester redundancyTransition referer regionList replication replicationLocation replicationProgress
    requestPayment requesterQosInfo resourceGroup resourcePool resourcePoolBuckets resourcePoolInfo
    response-cache-control response-content-disposition response-content-encoding response-content-language
    response-content-type response-expires restore security-token sequential startTime stat status style styleName
    symlink tagging transferAcceleration uploadId uploads versionId versioning versions vod website worm wormExtend
    wormId x-oss-ac-forward-allow x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-access-point-name
    x-oss-async-process x-oss-process x-oss-redundancy-transition-taskid x-oss-request-payer
    x-oss-target-redundancy-type x-oss-traffic-limit x-oss-write-get-object-response
"""
SUBRESOURCES = frozenset(_SUBRESOURCES.split())

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")

Headers = Mapping[str, str]  # lower-case names; several fields of one name joined by commas


def encode(text: str, *, keep_slash: bool = False) -> str:
    """Percent-encode as signature V4 wants it: only RFC 3986's unreserved characters stay, and `/` where told."""
    keep = _UNRESERVED | {0x2F} if keep_slash else _UNRESERVED
    return "".join(chr(byte) if byte in keep else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def v1_string_to_sign(target: Target, headers: Headers, date: str) -> str:
    """V1's string to sign; `date` is the Date (or x-oss-date) header, or the `Expires` of a presigned URL."""
    oss_headers = "".join(f"{name}:{value.strip()}\n" for name, value in sorted(headers.items()) if _is_oss(name))
    resource = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    signed = sorted((name, value) for name, value in target.query if name in SUBRESOURCES)
    if signed:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    return "\n".join(
        [target.method, headers.get("content-md5", ""), headers.get("content-type", ""), date, oss_headers + resource]
    )


def v1_signature(secret: str, string_to_sign: str) -> str:
    """Base64 of HMAC-SHA1."""
    digest = hmac.new(secret.encode(), string_to_sign.encode("utf-8", "surrogateescape"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def v4_canonical_request(target: Target, headers: Headers, additional: Iterable[str], payload: str) -> str:
    """V4's canonical request; `additional` are the lower-case names of further signed headers."""
    uri = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    pairs = sorted((encode(name), encode(value)) for name, value in target.query if name != "x-oss-signature")
    query = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    names = sorted(set(additional))
    signed = {
        name: value
        for name, value in headers.items()
        if _is_oss(name) or name in ("content-type", "content-md5") or name in names
    }
    canonical_headers = "".join(f"{name}:{value.strip()}\n" for name, value in sorted(signed.items()))
    return "\n".join([target.method, encode(uri, keep_slash=True), query, canonical_headers, ";".join(names), payload])


def v4_string_to_sign(timestamp: str, scope: str, canonical_request: str) -> str:
    """V4's string to sign: algorithm, time, scope and the canonical request's SHA-256."""
    digest = hashlib.sha256(canonical_request.encode("utf-8", "surrogateescape")).hexdigest()
    return "\n".join([ALGORITHM_V4, timestamp, scope, digest])


def v4_signature(secret: str, scope: str, string_to_sign: str) -> str:
    """Hex HMAC-SHA256 under the key derived from the secret along the scope (`date/region/oss/aliyun_v4_request`)."""
    key = b"aliyun_v4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, string_to_sign.encode(), hashlib.sha256).hexdigest()


def _is_oss(name: str) -> bool:
    return name.startswith("x-oss-")
