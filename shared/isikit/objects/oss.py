"""A bucket through oss2."""

from __future__ import annotations

import base64
import calendar
import functools
import hashlib
import threading
from collections.abc import Callable, Mapping
from email.utils import parsedate
from typing import TYPE_CHECKING, Any, Final, TypeVar

from isikit.errors import StorageError, storage_error
from isikit.objects.store import APPEND_TYPE, LIST_PAGE, Entry, ObjectInfo, Tail
from isikit.retry import RetryBudget, retrying
from isikit.threads import BoundedThreads, current_deadline

if TYPE_CHECKING:
    import oss2

    from isikit.connections import OssSession
    from isikit.credentials import Credentials

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS: Final = 2.0
READ_TIMEOUT_SECONDS: Final = 5.0  # per read of the socket; oss2's own default of 60 s outlives every caller
THREADS: Final = 16
METADATA_PREFIX: Final = "x-oss-meta-"
ATTEMPTS: Final = 2  # of calls that may be repeated
_AT_ONCE: Final = ("oss.unreachable", "oss.damaged")

_budget = RetryBudget()  # of the process: OSS is one service, whatever the bucket


class OssStore:
    """A bucket through oss2: V4 signatures, timeouts of seconds, own threads, no redirects, errors mapped.

    A call that may be repeated (`head`, `get`, `tail`, `list`, `delete`, `put` without a condition) is tried once more
    after a retryable failure, within the deadline and the process's budget. Conditional `put` and `append` are not:
    only the caller can tell its own first attempt from somebody else's write.

    Parameters
    ----------
    bucket, endpoint, region
        As oss2 takes them; an endpoint that is an IP address is used path-style, by oss2's own rule.
    provider
        Whose credentials sign, asked for each call.
    threads
        The limiter; several stores may share one.
    budget
        Of retries; the process's own when it is left out.
    """

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        region: str,
        provider: Credentials,
        *,
        threads: BoundedThreads | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        self.bucket = bucket
        self._endpoint = endpoint
        self._region = region
        self._provider = provider
        self._threads = threads or BoundedThreads("oss", THREADS)
        self._budget = budget or _budget
        self._opening = threading.Lock()
        self._opened: oss2.Bucket | None = None

    async def head(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head`."""
        return await self._again("oss.HeadObject", functools.partial(_head, key=key))

    async def get(self, key: str, *, start: int = 0) -> tuple[ObjectInfo, bytes] | None:
        """See `ObjectStore.get`."""
        info, data, _ = await self._again("oss.GetObject", functools.partial(_read, key=key, start=start))
        return None if info is None else (info, data)

    async def tail(self, key: str, *, start: int = 0) -> Tail:
        """See `ObjectStore.tail`."""
        info, data, server_time = await self._again("oss.GetObject", functools.partial(_read, key=key, start=start))
        return Tail(data, 0 if info is None else info.size, server_time)

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> ObjectInfo:
        """See `ObjectStore.put`."""
        kept = dict(metadata or {})
        headers = {"Content-Type": content_type, "Content-MD5": _md5(data), **metadata_headers(kept)}
        if forbid_overwrite:
            headers["x-oss-forbid-overwrite"] = "true"

        def work(bucket: oss2.Bucket) -> ObjectInfo:
            result = bucket.put_object(key, data, headers=headers)
            date = _date(result.headers)
            return ObjectInfo(key, len(data), result.etag.upper(), date, content_type, kept, date)

        return await (self._call(work) if forbid_overwrite else self._again("oss.PutObject", work))

    async def append(self, key: str, position: int, data: bytes) -> tuple[int, float]:
        """See `ObjectStore.append`."""
        # oss2 can check the CRC64 of an append only if it knows that of all before; the digest is checked by OSS.
        headers = {"Content-Type": APPEND_TYPE, "Content-MD5": _md5(data)}

        def work(bucket: oss2.Bucket) -> tuple[int, float]:
            result = bucket.append_object(key, position, data, headers=headers)
            return int(result.next_position), _date(result.headers)

        return await self._call(work)

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self._again("oss.DeleteObject", lambda bucket: bucket.delete_object(key))

    async def copy(self, source_bucket: str, source_key: str, key: str, *, if_match: str = "") -> None:
        """See `ObjectStore.copy`."""
        headers = {"x-oss-copy-source-if-match": if_match} if if_match else None
        await self._call(lambda bucket: bucket.copy_object(source_bucket, source_key, key, headers=headers))

    async def entries(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[Entry]:
        """See `ObjectStore.entries`."""
        found: list[Entry] = []
        while len(found) < limit:
            last, size = found[-1].key if found else after, min(LIST_PAGE, limit - len(found))
            page = await self._again(
                "oss.ListObjectsV2", functools.partial(_page, prefix=prefix, after=last, size=size)
            )
            found += [Entry(one.key, one.size, one.etag.upper(), float(one.last_modified)) for one in page.object_list]
            if not page.is_truncated:
                break
        return found

    async def list(self, prefix: str, *, after: str = "", limit: int = LIST_PAGE) -> list[str]:
        """See `ObjectStore.list`."""
        return [entry.key for entry in await self.entries(prefix, after=after, limit=limit)]

    async def _again(self, operation: str, work: Callable[[oss2.Bucket], T]) -> T:
        """`_call`, tried once more."""
        return await retrying(
            lambda: self._call(work),
            operation=operation,
            deadline=current_deadline(),
            budget=self._budget,
            attempts=ATTEMPTS,
            at_once=_AT_ONCE,
        )

    async def _call(self, work: Callable[[oss2.Bucket], T]) -> T:
        return await self._threads.run(functools.partial(self._in_thread, work))

    def _in_thread(self, work: Callable[[oss2.Bucket], T]) -> T:
        import oss2

        try:
            return work(self._open())
        except oss2.exceptions.OssError as error:
            raise storage_error(error) from error

    def _open(self) -> oss2.Bucket:
        with self._opening:
            if self._opened is None:
                from isikit import connections

                self._opened = self._bucket(connections.OssSession(self._threads.size))
            return self._opened

    def _bucket(self, session: OssSession) -> oss2.Bucket:
        import oss2

        return oss2.Bucket(
            oss2.ProviderAuthV4(self._provider),
            self._endpoint,
            self.bucket,
            session=session,
            connect_timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
            region=self._region,
            enable_crc=False,  # it makes its table anew for every call (0.3 ms): `_crc64` for bodies, MD5 for writing
        )


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """The `x-oss-meta-*` headers; names must be lower case, names and values ASCII (`ValueError`)."""
    for name, value in metadata.items():
        if name != name.lower() or not (name + value).isascii() or not (name + value).isprintable():
            raise ValueError(f"metadata {name}: names are lower case, and both names and values printable ASCII")
    return {METADATA_PREFIX + name: value for name, value in metadata.items()}


def _head(bucket: oss2.Bucket, key: str) -> ObjectInfo | None:
    import oss2

    try:
        result = bucket.head_object(key)
    except oss2.exceptions.NotFound as error:
        _only_the_key(error)
        return None
    return _info(key, result, result.content_length)


def _read(bucket: oss2.Bucket, key: str, start: int) -> tuple[ObjectInfo | None, bytes, float]:
    """(what it is, its bytes from `start`, OSS's time).

    A range that begins at the object's end cannot be satisfied, and OSS's default answer to that is the whole object
    with 200; so the range begins one byte earlier, which exists unless the object is shorter than `start`.
    """
    import oss2

    try:
        result = bucket.get_object(key, byte_range=(start - 1, None) if start else None)
        data = result.read()
    except oss2.exceptions.NotFound as error:
        _only_the_key(error)
        return None, b"", _date(error.headers)
    except oss2.exceptions.ServerError as error:
        if error.status != 416 or not start:
            raise
        return _head(bucket, key), b"", _date(error.headers)
    if result.content_range:
        info = _info(key, result, int(result.content_range.rpartition("/")[2]))
        return info, data[1:], info.server_time
    if result.server_crc is not None and _crc64()(data) != result.server_crc:
        raise oss2.exceptions.InconsistentError("the body's CRC-64 is not the object's", result.request_id)
    info = _info(key, result, len(data))
    return info, data[start:], info.server_time


@functools.cache
def _crc64() -> Callable[[bytes], int]:
    """CRC-64/XZ, the checksum of OSS [its documentation, "CRC-64"]."""
    import crcmod

    summed: Callable[[bytes], int] = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=2**64 - 1)
    return summed


def _page(bucket: oss2.Bucket, prefix: str, after: str, size: int) -> Any:
    return bucket.list_objects_v2(prefix=prefix, start_after=after, max_keys=size)


def _info(key: str, result: Any, size: int) -> ObjectInfo:
    metadata = {
        name.lower()[len(METADATA_PREFIX) :]: _text(value)
        for name, value in result.headers.items()
        if name.lower().startswith(METADATA_PREFIX)
    }
    return ObjectInfo(
        key,
        size,
        result.etag.upper(),
        float(result.last_modified),
        result.content_type or "",
        metadata,
        _date(result.headers),
    )


def _text(value: str) -> str:
    """A header's value; others than we may have put UTF-8 there, which HTTP clients read as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _date(headers: Mapping[str, str]) -> float:
    parsed = parsedate(headers.get("Date", ""))
    if parsed is None:
        raise StorageError("OSS answered without its time", code="oss.no_date")
    return float(calendar.timegm(parsed))


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _only_the_key(error: Any) -> None:
    """Let pass that an object is missing (an answer to HEAD may not name the code); a missing bucket is an error."""
    if error.code not in ("", "NoSuchKey"):
        raise error
