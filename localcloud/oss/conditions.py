"""Conditional requests and byte ranges, with OSS's own view of a range that does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from localcloud.oss.errors import OssError
from localcloud.oss.records import StoredObject
from localcloud.oss.signatures import Headers

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})(,.*)?")


def http_date(at: float) -> str:
    """RFC 9110 date of epoch seconds."""
    return formatdate(int(at), usegmt=True)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The four conditions of a request, as sent; empty when absent."""

    match: str
    none_match: str
    modified_since: str
    unmodified_since: str

    @classmethod
    def of(cls, headers: Headers, prefix: str = "") -> Conditions:
        """Read them from headers, `prefix` being `x-oss-copy-source-` for the source of a copy."""
        return cls(
            headers.get(prefix + "if-match", ""),
            headers.get(prefix + "if-none-match", ""),
            headers.get(prefix + "if-modified-since", ""),
            headers.get(prefix + "if-unmodified-since", ""),
        )

    def check(self, stored: StoredObject) -> None:
        """Raise `PreconditionFailed` (412) or `NotModified` (304) as the object demands."""
        if self.match and not _names(self.match, stored.etag):
            raise OssError("PreconditionFailed", fields={"Condition": "If-Match"})
        since = _time(self.unmodified_since)
        if since is not None and int(stored.modified_at) > since:
            raise OssError("PreconditionFailed", fields={"Condition": "If-Unmodified-Since"})
        validators = {"ETag": f'"{stored.etag}"', "Last-Modified": http_date(stored.modified_at)}
        if self.none_match and _names(self.none_match, stored.etag):
            raise OssError("NotModified", headers=validators)
        since = _time(self.modified_since)
        if not self.none_match and since is not None and int(stored.modified_at) <= since:
            raise OssError("NotModified", headers=validators)


def _names(condition: str, etag: str) -> bool:
    return any(tag.strip() in ("*", etag, f'"{etag}"') for tag in condition.split(","))


def _time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def byte_range(text: str, size: int, *, standard: bool) -> tuple[int, int] | None:
    """First and last byte of a Range header, or None for the whole object.

    Parameters
    ----------
    standard
        Whether the request carries `x-oss-range-behavior: standard`. Without it OSS answers a range that does not lie
        within the object with 200 and the *whole* object; with it, the end is clipped, and a start beyond the end is
        416 `InvalidRange`. (help.aliyun.com/en/oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests)
        Of several ranges only the first is served.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = int(match[2])
        start, end = size - length, size - 1
        fits = 0 < length <= size
    else:
        start = int(match[1])
        end = int(match[2]) if match[2] else size - 1
        if match[2] and end < start:
            return None
        fits = start < size and end < size
    if fits:
        return start, end
    if not standard:
        return None
    if start >= size or size == 0 or (not match[1] and int(match[2]) == 0):
        raise OssError("InvalidRange", fields={"ActualObjectSize": str(size), "RangeRequested": text})
    return max(start, 0), min(end, size - 1)
