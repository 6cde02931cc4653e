"""The object store: SQLite index and blob files under one folder, shared safely by threads and processes."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from localcloud.clock import Clock
from localcloud.oss.blobs import Blobs, Spool
from localcloud.oss.bucket_store import BucketStore
from localcloud.oss.checksums import crc64
from localcloud.oss.database import Database
from localcloud.oss.errors import OssError
from localcloud.oss.records import APPENDABLE, NORMAL, NULL_VERSION, Attributes, Bucket, Deletion, StoredObject, Version
from localcloud.oss.versions import Versions

MAX_OBJECT_BYTES = 5 * 1024**3  # of PutObject, of an appendable object, and of CopyObject
ORPHAN_AGE_SECONDS = 3600.0
_READ_CHUNK_BYTES = 1 << 20

Check = Callable[[StoredObject], None]
"""Raises OssError if the object found does not satisfy the request's conditions."""


class FileStore(BucketStore):
    """Buckets and objects under `root`.

    Every method blocks (disk, locks) and belongs in a thread. A write that returned survives a kill -9 (not a power
    cut): its bytes are with the kernel before the index row that names them is committed. A reader sees a whole object
    or none: it reads the row, opens its blob, and reads only the committed size.
    """

    def __init__(self, root: Path, clock: Clock, *, max_object_bytes: int = MAX_OBJECT_BYTES) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.blobs = Blobs(root / "blobs")
        self.blobs.prepare()
        super().__init__(Database(root / "index.sqlite"), clock)
        self.max_object_bytes = max_object_bytes
        self.blobs.sweep(self.index.blob_names(), time.time() - ORPHAN_AGE_SECONDS)

    def close(self) -> None:
        """Close the index's connections."""
        self.database.close()

    # reading

    def head(self, bucket: str, key: str, version_id: str = "") -> StoredObject:
        """The object's row.

        Raises
        ------
        OssError
            `NoSuchBucket`, `NoSuchKey` (telling of a delete marker in its headers), `NoSuchVersion`, and
            `MethodNotAllowed` when the version asked for is a delete marker.
        """
        home = self.bucket(bucket)
        stored = self.index.object(bucket, key)
        if version_id:
            if stored is None or stored.version_id != version_id:
                stored = self._version(bucket, key, version_id)
        elif stored is None:
            raise self._no_such_key(home, key)
        return replace(stored, versioned=True) if home.versioning else stored

    def _version(self, bucket: str, key: str, version_id: str) -> StoredObject:
        version = self.index.version(bucket, key, version_id)
        if version is None:
            raise OssError("NoSuchVersion", fields={"Key": key, "VersionId": version_id})
        if version.marker:
            marks = {"x-oss-delete-marker": "true", "x-oss-version-id": version_id, "Allow": "DELETE"}
            raise OssError("MethodNotAllowed", fields={"Method": "GET", "ResourceType": "DeleteMarker"}, headers=marks)
        return version.stored

    def _no_such_key(self, bucket: Bucket, key: str) -> OssError:
        newest = self.index.newest_version(bucket.name, key) if bucket.versioning else None
        marks = {}
        if newest is not None and newest.marker:
            marks = {"x-oss-delete-marker": "true", "x-oss-version-id": newest.stored.version_id}
        return OssError("NoSuchKey", fields={"Key": key}, headers=marks)

    def open(self, bucket: str, key: str, version_id: str = "") -> tuple[StoredObject, BinaryIO]:
        """The object's row with its open blob. Only the first `size` bytes are the object's."""
        while True:
            stored = self.head(bucket, key, version_id)
            try:
                return stored, self.blobs.path(stored.blob).open("rb")
            except FileNotFoundError:
                # Overwritten between the look into the index and the open: the index knows the new blob. Only if it
                # still names the lost one is something wrong.
                if self.head(bucket, key, version_id).blob == stored.blob:
                    raise

    def scan(self, bucket: str, start: str, *, inclusive: bool, limit: int) -> list[StoredObject]:
        """Up to `limit` rows from `start` on, in the order of their keys' UTF-8 bytes."""
        return self.index.objects(bucket, start, inclusive=inclusive, limit=limit)

    # writing

    def spool(self) -> Spool:
        """A place for an upload; the caller discards it when done, whatever happened."""
        return self.blobs.spool()

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
        blob = self.blobs.adopt(spool)
        stored = StoredObject(
            bucket,
            key,
            blob,
            sums.size,
            sums.md5.hex().upper(),
            sums.crc64,
            base64.b64encode(sums.md5).decode(),
            NORMAL,
            self.clock.now(),
            attributes,
        )
        return self.commit(stored, forbid_overwrite=forbid_overwrite)

    def commit(
        self, stored: StoredObject, *, forbid_overwrite: bool, also: Callable[[], None] | None = None
    ) -> tuple[StoredObject, int]:
        """Make an adopted blob an object; returns it and the bytes that it replaced.

        Under versioning, enabled or suspended, `forbid_overwrite` has no effect
        (help.aliyun.com/en/oss/developer-reference/putobject). `also` runs in the same transaction, after the checks.
        """
        versions = Versions(self.index)
        try:
            with self.database.writing():
                bucket = self.bucket(stored.bucket)
                if forbid_overwrite and not bucket.versioning and self.index.object(stored.bucket, stored.key):
                    raise OssError("FileAlreadyExists", fields={"Key": stored.key})
                if also is not None:
                    also()
                stored, old = versions.place(stored, bucket)
        except BaseException:
            self.blobs.remove(stored.blob)
            raise
        self._remove(versions.garbage)
        replaced = old is not None and old.blob in versions.garbage
        return stored, old.size if old is not None and replaced else 0

    def _remove(self, blobs: list[str]) -> None:
        for blob in blobs:
            self.blobs.remove(blob)

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
        with self.database.writing():
            home = self.bucket(bucket)
            old = self.index.object(bucket, key)
            if old is not None and forbid_overwrite and not home.versioning:
                raise OssError("FileAlreadyExists", fields={"Key": key})
            # Of a versioned key only the current version is appended to, and a delete marker is none that could be.
            if old.object_type != APPENDABLE if old else self.index.newest_version(bucket, key):
                raise OssError("ObjectNotAppendable")
            length = old.size if old else 0
            if position != length:
                raise OssError("PositionNotEqualToLength", headers={"x-oss-next-append-position": str(length)})
            size = length + spool.checksums.size
            if size > self.max_object_bytes:
                raise OssError("EntityTooLarge", fields={"MaxSizeAllowed": str(self.max_object_bytes)})
            if old is None:
                blob = self.blobs.adopt(spool)
                checksum, kept = spool.checksums.crc64, attributes
            else:
                blob, kept = old.blob, old.attributes
                checksum = self._append_bytes(old, spool)
            # An appendable object's ETag is no MD5 of its content; it changes with every append.
            etag = secrets.token_hex(12).upper() + "00000000"
            stored = StoredObject(bucket, key, blob, size, etag, checksum, "", APPENDABLE, self.clock.now(), kept)
            if old is None:
                stored, _ = Versions(self.index).place(stored, home)
            else:  # an append makes no version of its own
                stored = replace(
                    stored, version_id=old.version_id, sequence=old.sequence, versioned=bool(home.versioning)
                )
                self.index.put_object(stored)
        return stored

    def _append_bytes(self, old: StoredObject, spool: Spool) -> int:
        self.blobs.append(old.blob, old.size, spool)
        checksum = old.crc64
        with spool.path.open("rb") as source:
            while chunk := source.read(_READ_CHUNK_BYTES):
                checksum = crc64(chunk, checksum)
        return checksum

    def copy(
        self,
        source: tuple[str, str, str],
        target: tuple[str, str],
        *,
        check: Check,
        attributes: Callable[[Attributes], Attributes],
        forbid_overwrite: bool,
    ) -> tuple[StoredObject, int]:
        """Copy an object without moving bytes; returns the new object and the size of what it replaced.

        Parameters
        ----------
        source
            Bucket, key and version id ("" for the current version).
        target
            Bucket and key.
        check
            Judges the source by the request's conditions.
        attributes
            Those of the target, given those of the source.

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
                blob = self.blobs.link(found.blob)
                break
            except FileNotFoundError:
                if self.head(*source).blob == found.blob:
                    raise
        stored = replace(
            found,
            bucket=target[0],
            key=target[1],
            blob=blob,
            modified_at=self.clock.now(),
            attributes=attributes(found.attributes),
            version_id=NULL_VERSION,
            sequence=0,
            versioned=False,
        )
        return self.commit(stored, forbid_overwrite=forbid_overwrite)

    def retag(self, bucket: str, key: str, version_id: str, tags: dict[str, str]) -> StoredObject:
        """Replace an object's tags; its Last-Modified stays. Refuses as `head` does."""
        with self.database.writing():
            stored = self.head(bucket, key, version_id)
            stored = replace(stored, attributes=replace(stored.attributes, tags=tags))
            current = self.index.object(bucket, key)
            if current is not None and current.version_id == stored.version_id:
                self.index.put_object(stored)
            else:
                self.index.put_version(Version(stored, marker=False))
        return stored

    def delete(self, bucket: str, items: Iterable[tuple[str, str]], *, unless: Check | None = None) -> list[Deletion]:
        """Delete (key, version id) pairs; what does not exist is no error. All or none become visible.

        An empty version id deletes the current version, which under versioning puts a delete marker on top. `unless`
        may refuse a current object: it is asked inside the transaction.
        """
        versions, done = Versions(self.index), []
        with self.database.writing():
            home = self.bucket(bucket)
            for key, version_id in items:
                if unless is not None:
                    unless(self.head(bucket, key, version_id))
                if version_id:
                    done.append(versions.delete_version(home, key, version_id))
                else:
                    done.append(versions.delete(home, key, self.clock.now()))
        self._remove(versions.garbage)
        return done
