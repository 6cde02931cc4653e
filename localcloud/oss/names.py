"""What OSS accepts as the name of a bucket and of an object.

Rules: help.aliyun.com/zh/oss/user-guide/bucket-naming-conventions and object-naming-conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from localcloud.oss.errors import OssError, invalid_argument

MAX_KEY_BYTES = 1023
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def is_bucket_name(name: str) -> bool:
    """3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends."""
    return _BUCKET.fullmatch(name) is not None


def check_bucket_name(name: str) -> None:
    """Raise `InvalidBucketName` unless `name` may be a bucket."""
    if not is_bucket_name(name):
        raise OssError("InvalidBucketName", fields={"BucketName": name})


def check_query(query: Iterable[tuple[str, str]]) -> None:
    """Raise `InvalidArgument` for parameters that are not UTF-8."""
    for name, value in query:
        if not is_utf8(name + value):
            raise invalid_argument("The parameter is not UTF-8.", ascii(name), ascii(value))


def is_utf8(text: str) -> bool:
    """Whether the bytes it was decoded from were UTF-8: `target.parse` turns others into surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_key(key: str) -> None:
    """Raise `InvalidObjectName` for keys OSS refuses: 1 to 1023 bytes of UTF-8, not starting with / or \\."""
    if not is_utf8(key):
        raise OssError("InvalidObjectName", "The object name is not UTF-8.")
    if not 1 <= len(key.encode()) <= MAX_KEY_BYTES:
        raise OssError("InvalidObjectName", "The length of the object name is not between 1 and 1023 bytes.")
    if key[0] in "/\\":
        raise OssError("InvalidObjectName", fields={"ObjectName": key})
