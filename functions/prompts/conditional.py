"""Conditional and partial requests for one representation (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

from starlette.datastructures import Headers

_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')
# More digits than that name no byte of anything.
_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Representation:
    """What is asked for.

    Attributes
    ----------
    etag
        With its quotes; strong.
    last_modified
        Epoch seconds.
    """

    size: int
    etag: str
    last_modified: float

    @property
    def http_date(self) -> str:
        """`Last-Modified`."""
        return formatdate(self.last_modified, usegmt=True)


@dataclass(frozen=True, slots=True)
class Whole:
    """200: everything."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """304: the caller has it."""


@dataclass(frozen=True, slots=True)
class Part:
    """206: bytes `start` to `end`, both included."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """416: not one byte of what was asked for exists."""


Decision = Whole | NotModified | Part | Unsatisfiable


def decide(method: str, headers: Headers, has: Representation) -> Decision:
    """What to answer. Only GET has ranges (RFC 9110, 14.2); several at once, and nonsense, are answered whole."""
    if _not_modified(headers, has):
        return NotModified()
    asked = headers.getlist("range")
    if method != "GET" or len(asked) != 1 or not _range_applies(headers, has):
        return Whole()
    match = _RANGE.fullmatch(asked[0].strip())
    if match is None or not (match[1] or match[2]):
        return Whole()
    if not match[1]:
        length = int(match[2])
        return Part(max(0, has.size - length), has.size - 1) if length else Unsatisfiable()
    start, end = int(match[1]), int(match[2]) if match[2] else has.size - 1
    if match[2] and end < start:
        return Whole()  # an invalid range is no range
    return Part(start, min(end, has.size - 1)) if start < has.size else Unsatisfiable()


def _not_modified(headers: Headers, has: Representation) -> bool:
    sent = headers.getlist("if-none-match")
    if sent:
        # Compared weakly: FreeSWITCH and proxies send back what they stored, with or without W/.
        return any(part.strip() == "*" or has.etag in _TAG.findall(part) for part in sent)
    since = _date(headers.get("if-modified-since"))
    return since is not None and int(has.last_modified) <= since


def _range_applies(headers: Headers, has: Representation) -> bool:
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.strip().startswith(('"', "W/")):
        return condition.strip() == has.etag  # strongly: W/ never matches
    return _date(condition) == int(has.last_modified)


def _date(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
