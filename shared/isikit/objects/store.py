"""The protocol of a bucket, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

LIST_PAGE: Final = 1000  # the most that ListObjectsV2 answers at once
APPEND_TYPE: Final = "application/x-ndjson"  # what is appended is a journal: JSON lines


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What OSS says of one object.

    Parameters
    ----------
    key
        The whole key, without the bucket.
    size
        Bytes of the whole object, also when only a range of it was read.
    etag
        Without quotes, upper case.
    last_modified
        Seconds since the epoch.
    metadata
        The `x-oss-meta-*` headers, names in lower case without that prefix.
    server_time
        OSS's `Date` of this answer, seconds since the epoch.
    """

    key: str
    size: int
    etag: str
    last_modified: float
    content_type: str
    metadata: dict[str, str]
    server_time: float


@dataclass(frozen=True, slots=True)
class Tail:
    """The bytes of an object from a position on, and its end. A missing object has no bytes and ends at 0.

    `end` less than the position asked for means that the object is not the one that was read before.
    """

    data: bytes = field(repr=False)
    end: int
    server_time: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as a listing shows it: `etag` and `last_modified` as in `ObjectInfo`."""

    key: str
    size: int
    etag: str
    last_modified: float


class ObjectStore(Protocol):
    """One bucket. Every method is one call to OSS, bounded by the deadline of the request.

    `StorageError.retryable` tells a failure that may pass from one that stays, and so that it is not known whether the
    call took effect.
    """

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None where there is none."""

    async def get(self, key: str, *, start: int = 0) -> tuple[ObjectInfo, bytes] | None:
        """The object's bytes from `start` on (`b""` when `start` is its size or more), or None where there is none."""

    async def tail(self, key: str, *, start: int = 0) -> Tail:
        """As `get`, but a missing object is an empty one, so that its absence has a `server_time` too."""

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> ObjectInfo:
        """Write the object whole. With `forbid_overwrite`, `AlreadyExists` where the key is taken."""

    async def append(self, key: str, position: int, data: bytes) -> tuple[int, float]:
        """Append at `position`, which must be the object's size (0 creates it); `PositionConflict` where it is not.

        Returns the next position and the `server_time`.
        """

    async def delete(self, key: str) -> None:
        """Delete the object; deleting what is not there is no error."""

    async def copy(self, source_bucket: str, source_key: str, key: str, *, if_match: str = "") -> None:
        """Copy inside OSS. Content type and metadata come along.

        Parameters
        ----------
        if_match
            The source's ETag, where only this version of it is to be copied: `oss.precondition_failed` where it is
            another by now. "" copies whatever lies there.
        """

    async def entries(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[Entry]:
        """As `list`, with what the listing says of each object; one call up to `LIST_PAGE`."""

    async def list(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[str]:
        """Up to `limit` keys that begin with `prefix` and come after `after`, in OSS's order (of UTF-8 bytes)."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The three buckets."""

    prompts: ObjectStore
    recordings: ObjectStore
    state: ObjectStore
