"""One page of a bucket's listing: prefix, delimiter, where to start, how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from localcloud.oss.records import StoredObject
from localcloud.oss.store import FileStore

_LAST = "\U0010ffff"
_BATCH = 500
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Page:
    """Objects and common prefixes in key order; `next_marker` is empty on the last page."""

    objects: list[StoredObject]
    prefixes: list[str]
    next_marker: str


def page(store: FileStore, bucket: str, *, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """List what comes after `after` (a key, or a common prefix of the page before).

    Blocks; reads only what the page needs: a group of keys behind a common prefix is skipped in one step.
    """
    store.bucket(bucket)
    objects: list[StoredObject] = []
    prefixes: list[str] = []
    last = ""
    start, inclusive = (after, False) if after >= prefix else (prefix, True)
    if delimiter and after.startswith(prefix) and after.endswith(delimiter) and after != prefix:
        start = after + _LAST
    while True:
        batch = store.scan(bucket, start, inclusive=inclusive, limit=_BATCH if delimiter else limit + 1)
        if not batch:
            return Page(objects, prefixes, "")
        for stored in batch:
            if not stored.key.startswith(prefix):
                return Page(objects, prefixes, "")
            if len(objects) + len(prefixes) == limit:
                return Page(objects, prefixes, last)
            start, inclusive = stored.key, False
            end = stored.key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                objects.append(stored)
                last = stored.key
                continue
            last = stored.key[: end + len(delimiter)]
            prefixes.append(last)
            start = last + _LAST
            break  # the rest of the batch may lie behind the same prefix: look again after it


def group(
    items: Iterable[_T], key_of: Callable[[_T], str], prefix: str, delimiter: str, after: str, limit: int
) -> tuple[list[_T], list[str], bool]:
    """One page of items in key order: those shown, the common prefixes of the others, and whether more follow.

    `after` is the key marker: a common prefix that it names was on an earlier page.
    """
    shown: list[_T] = []
    prefixes: list[str] = []
    for item in items:
        key = key_of(item)
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[: end + len(delimiter)] if end >= 0 else ""
        if common and (common == after or (prefixes and prefixes[-1] == common)):
            continue
        if len(shown) + len(prefixes) == limit:
            return shown, prefixes, True
        if common:
            prefixes.append(common)
        else:
            shown.append(item)
    return shown, prefixes, False
