"""The buckets of a store and their settings."""

from __future__ import annotations

import sqlite3

from localcloud.clock import Clock
from localcloud.oss.database import Database
from localcloud.oss.errors import OssError
from localcloud.oss.index import Index
from localcloud.oss.records import Bucket
from localcloud.oss.upload_rows import UploadRows


class BucketStore:
    """Buckets, their versioning status and their settings. Every method blocks and belongs in a thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.database = database
        self.index = Index(database)
        self.uploads = UploadRows(database)

    def create_bucket(self, name: str) -> None:
        """Create a bucket; `BucketAlreadyExists` if there is one of that name, one's own included.

        The documentation leaves one's own bucket open; github.com/rclone/rclone/pull/8703 saw the 409.
        """
        try:
            with self.database.writing():
                self.index.add_bucket(Bucket(name, self.clock.now()))
        except sqlite3.IntegrityError as exc:
            raise OssError("BucketAlreadyExists", fields={"BucketName": name}) from exc

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket; `NoSuchBucket` or `BucketNotEmpty`. Versions, markers and parts fill it too."""
        with self.database.writing():
            self.bucket(name)
            left = self.index.objects(name, "", inclusive=True, limit=1) or self.uploads.of_bucket(name)
            if left or self.index.has_versions(name):
                raise OssError("BucketNotEmpty", fields={"BucketName": name})
            self.index.drop_bucket(name)

    def bucket(self, name: str) -> Bucket:
        """The bucket, or `NoSuchBucket`."""
        bucket = self.index.bucket(name)
        if bucket is None:
            raise OssError("NoSuchBucket", fields={"BucketName": name})
        return bucket

    def buckets(self) -> list[Bucket]:
        """All buckets by name."""
        return self.index.buckets()

    def setting(self, bucket: str, name: str) -> str | None:
        """A bucket's setting as the handler wrote it, None if there is none; `NoSuchBucket`."""
        self.bucket(bucket)
        return self.index.setting(bucket, name)

    def configure(self, bucket: str, name: str, document: str | None) -> None:
        """Set a bucket's setting, or drop it with None; `NoSuchBucket`."""
        with self.database.writing():
            self.bucket(bucket)
            self.index.set_setting(bucket, name, document)

    def set_versioning(self, bucket: str, status: str) -> None:
        """`Enabled` or `Suspended`; `NoSuchBucket`."""
        with self.database.writing():
            self.bucket(bucket)
            self.index.set_versioning(bucket, status)
