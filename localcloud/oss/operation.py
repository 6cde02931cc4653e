"""Which operation a request is, and which parameters and headers that operation may carry.

OSS overloads a handful of verbs with dozens of sub-resources. A server that ignores one it does not know turns
`PUT /key?acl` into an overwrite of the object, so everything that is not in the tables here is refused with 501.
"""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.oss.errors import OssError, not_implemented
from localcloud.oss.signatures import SUBRESOURCES, Headers
from localcloud.oss.target import Target


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SIGNING_PARAMETERS = _names(
    "OSSAccessKeyId Expires Signature security-token x-oss-signature-version x-oss-credential x-oss-date"
    " x-oss-expires x-oss-signature x-oss-security-token x-oss-additional-headers"
)
_SIGNING_HEADERS = _names("x-oss-date x-oss-content-sha256 x-oss-security-token")
_UPLOAD_HEADERS = _names("x-oss-forbid-overwrite x-oss-storage-class x-oss-object-acl x-oss-tagging x-oss-meta-*")
_SOURCE_HEADERS = _names(
    "x-oss-copy-source x-oss-copy-source-if-match x-oss-copy-source-if-none-match"
    " x-oss-copy-source-if-modified-since x-oss-copy-source-if-unmodified-since"
)
_VERSION = _names("versionId")
RESPONSE_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
# The only values of these headers that describe what this server does anyway.
_ONLY_VALUES = {
    "x-oss-storage-class": ("Standard",),
    "x-oss-object-acl": ("default", "private"),
    "x-oss-acl": ("private",),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of OSS's API.

    Parameters
    ----------
    name
        As in the API reference: `PutObject`.
    level
        `service`, `bucket` or `object`.
    selector
        The sub-resource, `name=value` or header that tells it from others with the same verb, or two of them joined by
        `+`; "" for the plain one.
    parameters, headers
        What it may carry besides signatures; a name ending in `*` is a prefix.
    """

    name: str
    level: str
    method: str
    selector: str = ""
    parameters: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()


OPERATIONS = (
    Operation("ListBuckets", "service", "GET", parameters=_names("prefix marker max-keys")),
    Operation("PutBucket", "bucket", "PUT", headers=_names("x-oss-acl")),
    Operation("DeleteBucket", "bucket", "DELETE"),
    Operation("HeadBucket", "bucket", "HEAD"),
    Operation("GetBucketInfo", "bucket", "GET", "bucketInfo"),
    Operation("GetBucketLocation", "bucket", "GET", "location"),
    Operation("GetBucketAcl", "bucket", "GET", "acl"),
    Operation(
        "ListObjectsV2",
        "bucket",
        "GET",
        "list-type=2",
        _names("list-type prefix delimiter max-keys encoding-type continuation-token start-after fetch-owner"),
    ),
    Operation("ListObjects", "bucket", "GET", parameters=_names("prefix delimiter marker max-keys encoding-type")),
    Operation(
        "ListObjectVersions",
        "bucket",
        "GET",
        "versions",
        _names("prefix delimiter key-marker version-id-marker max-keys encoding-type"),
    ),
    Operation(
        "ListMultipartUploads",
        "bucket",
        "GET",
        "uploads",
        _names("prefix delimiter key-marker upload-id-marker max-uploads encoding-type"),
    ),
    Operation("PutBucketVersioning", "bucket", "PUT", "versioning"),
    Operation("GetBucketVersioning", "bucket", "GET", "versioning"),
    Operation("PutBucketLifecycle", "bucket", "PUT", "lifecycle", headers=_names("x-oss-allow-same-action-overlap")),
    Operation("GetBucketLifecycle", "bucket", "GET", "lifecycle"),
    Operation("DeleteBucketLifecycle", "bucket", "DELETE", "lifecycle"),
    Operation("PutBucketCors", "bucket", "PUT", "cors"),
    Operation("GetBucketCors", "bucket", "GET", "cors"),
    Operation("DeleteBucketCors", "bucket", "DELETE", "cors"),
    Operation("DeleteMultipleObjects", "bucket", "POST", "delete", _names("encoding-type")),
    Operation("PostObject", "bucket", "POST", headers=_names("x-oss-meta-*")),
    Operation("OptionObject", "bucket", "OPTIONS"),
    Operation("OptionObject", "object", "OPTIONS"),
    Operation("PutObjectTagging", "object", "PUT", "tagging", _VERSION),
    Operation("GetObjectTagging", "object", "GET", "tagging", _VERSION),
    Operation("DeleteObjectTagging", "object", "DELETE", "tagging", _VERSION),
    Operation(
        "InitiateMultipartUpload",
        "object",
        "POST",
        "uploads",
        _names("encoding-type sequential"),
        _UPLOAD_HEADERS,
    ),
    Operation(
        "UploadPartCopy",
        "object",
        "PUT",
        "partNumber+x-oss-copy-source",
        _names("partNumber uploadId"),
        _SOURCE_HEADERS | _names("x-oss-copy-source-range"),
    ),
    Operation("UploadPart", "object", "PUT", "partNumber", _names("uploadId")),
    Operation("UploadPart", "object", "PUT", "uploadId", _names("partNumber")),
    Operation(
        "CompleteMultipartUpload",
        "object",
        "POST",
        "uploadId",
        _names("encoding-type"),
        _names("x-oss-forbid-overwrite x-oss-complete-all x-oss-object-acl"),
    ),
    Operation("AbortMultipartUpload", "object", "DELETE", "uploadId"),
    Operation("ListParts", "object", "GET", "uploadId", _names("max-parts part-number-marker encoding-type")),
    Operation(
        "CopyObject",
        "object",
        "PUT",
        "x-oss-copy-source",
        headers=_UPLOAD_HEADERS | _SOURCE_HEADERS | _names("x-oss-metadata-directive x-oss-tagging-directive"),
    ),
    Operation("PutObject", "object", "PUT", headers=_UPLOAD_HEADERS),
    Operation("AppendObject", "object", "POST", "append", _names("position"), _UPLOAD_HEADERS),
    Operation("GetObjectMeta", "object", "HEAD", "objectMeta", _VERSION),
    Operation("GetObjectMeta", "object", "GET", "objectMeta", _VERSION),
    Operation("HeadObject", "object", "HEAD", parameters=_VERSION),
    Operation(
        "GetObject", "object", "GET", "", frozenset(RESPONSE_OVERRIDES) | _VERSION, _names("x-oss-range-behavior")
    ),
    Operation("DeleteObject", "object", "DELETE", parameters=_VERSION),
)
UNKNOWN = Operation("NotImplemented", "service", "")


def operation_of(target: Target, headers: Headers) -> Operation:
    """The operation a request names, or `UNKNOWN`."""
    level = "object" if target.key else "bucket" if target.bucket else "service"
    plain = UNKNOWN
    for operation in OPERATIONS:
        if operation.level != level or operation.method != target.method:
            continue
        if not operation.selector:
            plain = operation
        elif _selects(operation.selector, target, headers):
            return operation
    return plain


def _selects(selector: str, target: Target, headers: Headers) -> bool:
    if "+" in selector:
        return all(_selects(one, target, headers) for one in selector.split("+"))
    name, equals, value = selector.partition("=")
    if name.startswith("x-oss-"):
        return name in headers
    return target.first(name) == value if equals else target.has(name)


def check_extras(operation: Operation, target: Target, headers: Headers) -> None:
    """Refuse with `NotImplemented` what the operation does not take here, before anything has an effect.

    An unknown parameter with a value, such as the `?v=2` of a cache buster, is ignored, as OSS does; sub-resources,
    `x-oss-` names and bare names are not.
    """
    if operation is UNKNOWN:
        names = "&".join(sorted(target.names - _SIGNING_PARAMETERS))
        if target.method not in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"):
            raise OssError("MethodNotAllowed")
        raise not_implemented(f"{target.method} {'?' + names if names else 'on this resource'}")
    selector = operation.selector.partition("=")[0]
    for name, value in target.query:
        if name in _SIGNING_PARAMETERS or name in operation.parameters or name == selector:
            continue
        if name in SUBRESOURCES or name.startswith("x-oss-") or not value:
            raise not_implemented(f"the parameter {name} of {operation.name}")
    for name, value in headers.items():
        if not name.startswith("x-oss-") or name in _SIGNING_HEADERS:
            continue
        if name not in operation.headers and not (
            name.startswith("x-oss-meta-") and "x-oss-meta-*" in operation.headers
        ):
            raise not_implemented(f"the header {name} of {operation.name}")
        if value not in _ONLY_VALUES.get(name, (value,)):
            raise not_implemented(f"the value {value} of {name}")
