"""What a write does to the versions of its key, by the bucket's versioning status.

Rules: help.aliyun.com/en/oss/user-guide/manage-objects-in-a-versioning-enabled-bucket, .../manage-objects-in-a-
versioning-suspended-bucket and .../delete-marker. All of it runs inside one write transaction.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from localcloud.oss.index import Index
from localcloud.oss.records import ENABLED, NORMAL, NULL_VERSION, Attributes, Bucket, Deletion, StoredObject, Version


def new_version_id() -> str:
    """An id that begins as OSS's do and is as opaque."""
    return "CAEQ" + secrets.token_urlsafe(45).replace("-", "x").replace("_", "y")


class Versions:
    """Rows of versions under one index. `garbage` collects the blobs that no row names any more."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.garbage: list[str] = []

    def place(self, stored: StoredObject, bucket: Bucket) -> tuple[StoredObject, StoredObject | None]:
        """Make `stored` the current version; returns it with its version id, and the current one it took over from."""
        old = self._index.object(stored.bucket, stored.key)
        if not bucket.versioning:
            if old is not None:
                self.garbage.append(old.blob)
        else:
            stored = self._numbered(stored, bucket)
            self._step_aside(stored.bucket, stored.key, old, bucket)
        self._index.put_object(stored)
        return stored, old

    def delete(self, bucket: Bucket, key: str, now: float) -> Deletion:
        """Delete without a version id: for good without versioning, otherwise by putting a delete marker on top."""
        old = self._index.object(bucket.name, key)
        if not bucket.versioning:
            if old is not None:
                self._index.drop_object(bucket.name, key)
                self.garbage.append(old.blob)
            return Deletion(key)
        self._step_aside(bucket.name, key, old, bucket)
        self._index.drop_object(bucket.name, key)
        nothing = StoredObject(bucket.name, key, "", 0, "", 0, "", NORMAL, now, Attributes(""))
        marker = self._numbered(nothing, bucket)
        self._index.put_version(Version(marker, marker=True))
        return Deletion(key, marker.version_id, marker=True)

    def delete_version(self, bucket: Bucket, key: str, version_id: str) -> Deletion:
        """Delete one version or marker for good; what is newest then becomes current. Unknown ones are no error."""
        current = self._index.object(bucket.name, key)
        marker = False
        if current is not None and current.version_id == version_id:
            self._index.drop_object(bucket.name, key)
            self.garbage.append(current.blob)
            current = None
        else:
            version = self._index.version(bucket.name, key, version_id)
            if version is not None:
                marker = version.marker
                self._drop(version)
        if current is None:
            newest = self._index.newest_version(bucket.name, key)
            if newest is not None and not newest.marker:
                self._index.drop_version(bucket.name, key, newest.stored.version_id)
                self._index.put_object(newest.stored)
        return Deletion(key, version_id, marker, requested_version=version_id)

    def _numbered(self, stored: StoredObject, bucket: Bucket) -> StoredObject:
        version_id = new_version_id() if bucket.versioning == ENABLED else NULL_VERSION
        return replace(stored, version_id=version_id, sequence=self._index.next_sequence(), versioned=True)

    def _step_aside(self, bucket_name: str, key: str, old: StoredObject | None, bucket: Bucket) -> None:
        # A suspended bucket has one `null` version of a key: the new one takes its place, wherever it stands.
        replaces_null = bucket.versioning != ENABLED
        if replaces_null:
            null = self._index.version(bucket_name, key, NULL_VERSION)
            if null is not None:
                self._drop(null)
        if old is None:
            return
        if replaces_null and old.version_id == NULL_VERSION:
            self.garbage.append(old.blob)
        else:
            self._index.put_version(Version(old, marker=False))

    def _drop(self, version: Version) -> None:
        self._index.drop_version(version.stored.bucket, version.stored.key, version.stored.version_id)
        if version.stored.blob:
            self.garbage.append(version.stored.blob)
