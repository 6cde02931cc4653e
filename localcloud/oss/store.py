"""The object store: SQLite index and blob files under one folder, shared safely by threads and processes."""

from __future__ import annotations

import base64
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from localcloud.clock import Clock
from localcloud.oss.blobs import Blobs, Spool
from localcloud.oss.checksums import crc64
from localcloud.oss.errors import OssError
from localcloud.oss.index import Index
from localcloud.oss.records import APPENDABLE, NORMAL, Attributes, Bucket, StoredObject

MAX_OBJECT_BYTES = 5 * 1024**3  # of PutObject, of an appendable object, and of CopyObject
ORPHAN_AGE_SECONDS = 3600.0
_READ_CHUNK_BYTES = 1 << 20

Check = Callable[[StoredObject], None]
"""Raises OssError if the object found does not satisfy the request's conditions."""


class FileStore:
    """Buckets and objects under `root`.

    Every method blocks (disk, locks) and belongs in a thread. A write that returned survives a kill -9: bytes are
    fsynced before the index row that names them is committed. A reader sees a whole object or none: it reads the row,
    opens its blob, and reads only the committed size.
    """

    def __init__(self, root: Path, clock: Clock, *, max_object_bytes: int = MAX_OBJECT_BYTES) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._blobs = Blobs(root / "blobs")
        self._blobs.prepare()
        self._index = Index(root / "index.sqlite")
        self.max_object_bytes = max_object_bytes
        self._blobs.sweep(self._index.blob_names(), time.time() - ORPHAN_AGE_SECONDS)

    def close(self) -> None:
        """Close the index's connections."""
        self._index.close()

    # buckets

    def create_bucket(self, name: str) -> None:
        """Create a bucket; `BucketAlreadyExists` if there is one of that name, one's own included.

        The documentation leaves one's own bucket open; github.com/rclone/rclone/pull/8703 saw the 409.
        """
        try:
            with self._index.writing():
                self._index.add_bucket(Bucket(name, self._clock.now()))
        except sqlite3.IntegrityError as exc:
            raise OssError("BucketAlreadyExists", fields={"BucketName": name}) from exc

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket; `NoSuchBucket` or `BucketNotEmpty`."""
        with self._index.writing():
            self.bucket(name)
            if self._index.objects(name, "", inclusive=True, limit=1):
                raise OssError("BucketNotEmpty", fields={"BucketName": name})
            self._index.drop_bucket(name)

    def bucket(self, name: str) -> Bucket:
        """The bucket, or `NoSuchBucket`."""
        bucket = self._index.bucket(name)
        if bucket is None:
            raise OssError("NoSuchBucket", fields={"BucketName": name})
        return bucket

    def buckets(self) -> list[Bucket]:
        """All buckets by name."""
        return self._index.buckets()

    # reading

    def head(self, bucket: str, key: str) -> StoredObject:
        """The object's row, or `NoSuchBucket` or `NoSuchKey`."""
        self.bucket(bucket)
        stored = self._index.object(bucket, key)
        if stored is None:
            raise OssError("NoSuchKey", fields={"Key": key})
        return stored

    def open(self, bucket: str, key: str) -> tuple[StoredObject, BinaryIO]:
        """The object's row with its open blob. Only the first `size` bytes are the object's."""
        while True:
            stored = self.head(bucket, key)
            try:
                return stored, self._blobs.path(stored.blob).open("rb")
            except FileNotFoundError:
                # Overwritten between the look into the index and the open: the index knows the new blob. Only if it
                # still names the lost one is something wrong.
                if self.head(bucket, key).blob == stored.blob:
                    raise

    def scan(self, bucket: str, start: str, *, inclusive: bool, limit: int) -> list[StoredObject]:
        """Up to `limit` rows from `start` on, in the order of their keys' UTF-8 bytes."""
        return self._index.objects(bucket, start, inclusive=inclusive, limit=limit)

    # writing

    def spool(self) -> Spool:
        """A place for an upload; the caller discards it when done, whatever happened."""
        return self._blobs.spool()

    def put(
        self, bucket: str, key: str, spool: Spool, attributes: Attributes, *, forbid_overwrite: bool = False
    ) -> tuple[StoredObject, int]:
        """Commit an upload as a Normal object.

        Returns
        -------
        tuple
            The new object and the size of what it replaced (0 if nothing).

        Raises
        ------
        OssError
            `NoSuchBucket`, or `FileAlreadyExists` when overwriting is forbidden and somebody was first.
        """
        sums = spool.checksums
        blob = self._blobs.adopt(spool)
        stored = StoredObject(
            bucket,
            key,
            blob,
            sums.size,
            sums.md5.hex().upper(),
            sums.crc64,
            base64.b64encode(sums.md5).decode(),
            NORMAL,
            self._clock.now(),
            attributes,
        )
        return self._commit(stored, forbid_overwrite=forbid_overwrite)

    def _commit(self, stored: StoredObject, *, forbid_overwrite: bool) -> tuple[StoredObject, int]:
        try:
            with self._index.writing():
                self.bucket(stored.bucket)
                old = self._index.object(stored.bucket, stored.key)
                if old is not None and forbid_overwrite:
                    raise OssError("FileAlreadyExists", fields={"Key": stored.key})
                self._index.put_object(stored)
        except BaseException:
            self._blobs.remove(stored.blob)
            raise
        if old is None:
            return stored, 0
        self._blobs.remove(old.blob)
        return stored, old.size

    def append(
        self, bucket: str, key: str, position: int, spool: Spool, attributes: Attributes, *, forbid_overwrite: bool
    ) -> StoredObject:
        """Append an upload at `position`, which must be the object's length: of simultaneous callers one wins.

        `attributes` count only when the append creates the object.

        Raises
        ------
        OssError
            `PositionNotEqualToLength` (with the next position), `ObjectNotAppendable`, `EntityTooLarge`,
            `FileAlreadyExists`, `NoSuchBucket`.
        """
        spool.seal()
        with self._index.writing():
            self.bucket(bucket)
            old = self._index.object(bucket, key)
            if old is not None and forbid_overwrite:
                raise OssError("FileAlreadyExists", fields={"Key": key})
            if old is not None and old.object_type != APPENDABLE:
                raise OssError("ObjectNotAppendable")
            length = old.size if old else 0
            if position != length:
                raise OssError("PositionNotEqualToLength", headers={"x-oss-next-append-position": str(length)})
            size = length + spool.checksums.size
            if size > self.max_object_bytes:
                raise OssError("EntityTooLarge", fields={"MaxSizeAllowed": str(self.max_object_bytes)})
            if old is None:
                blob = self._blobs.adopt(spool)
                checksum, kept = spool.checksums.crc64, attributes
            else:
                blob, kept = old.blob, old.attributes
                checksum = self._append_bytes(old, spool)
            # An appendable object's ETag is no MD5 of its content; it changes with every append.
            etag = secrets.token_hex(12).upper() + "00000000"
            stored = StoredObject(bucket, key, blob, size, etag, checksum, "", APPENDABLE, self._clock.now(), kept)
            self._index.put_object(stored)
        return stored

    def _append_bytes(self, old: StoredObject, spool: Spool) -> int:
        self._blobs.append(old.blob, old.size, spool)
        checksum = old.crc64
        with spool.path.open("rb") as source:
            while chunk := source.read(_READ_CHUNK_BYTES):
                checksum = crc64(chunk, checksum)
        return checksum

    def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        *,
        check: Check,
        attributes: Attributes | None,
        forbid_overwrite: bool,
    ) -> tuple[StoredObject, int]:
        """Copy an object (bucket, key) without moving bytes; returns the new object and the size of what it replaced.

        Parameters
        ----------
        check
            Judges the source by the request's conditions.
        attributes
            Those of the target, or None to take over the source's.

        Raises
        ------
        OssError
            `NoSuchBucket`, `NoSuchKey`, what `check` raises, `FileAlreadyExists`, `OperationNotSupported` for an
            appendable source: OSS does not copy those.
        """
        self.bucket(target[0])
        while True:
            found = self.head(*source)
            check(found)
            if found.object_type == APPENDABLE:
                raise OssError("OperationNotSupported", "Appendable objects can not be copied.")
            try:
                blob = self._blobs.link(found.blob)
                break
            except FileNotFoundError:
                if self.head(*source).blob == found.blob:
                    raise
        stored = replace(
            found,
            bucket=target[0],
            key=target[1],
            blob=blob,
            modified_at=self._clock.now(),
            attributes=attributes or found.attributes,
        )
        return self._commit(stored, forbid_overwrite=forbid_overwrite)

    def delete(self, bucket: str, keys: list[str]) -> None:
        """Delete objects; keys that do not exist are no error. All or none become visible."""
        gone: list[StoredObject] = []
        with self._index.writing():
            self.bucket(bucket)
            for key in keys:
                old = self._index.object(bucket, key)
                if old is not None:
                    self._index.drop_object(bucket, key)
                    gone.append(old)
        for old in gone:
            self._blobs.remove(old.blob)
