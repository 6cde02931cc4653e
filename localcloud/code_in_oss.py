"""Function packages in localcloud's own OSS, read past its HTTP door as Function Compute reads them."""

from __future__ import annotations

from localcloud.oss import FileStore
from localcloud.oss.errors import OssError


class CodeInOss:
    """What Function Compute needs of OSS (`localcloud.fc.code_store.CodeStore`).

    Parameters
    ----------
    bucket
        The bucket that is lent to deployers for an upload (`tempBucketToken`).
    """

    def __init__(self, store: FileStore, bucket: str) -> None:
        self._store = store
        self._bucket = bucket

    def read(self, bucket: str, key: str, limit: int) -> bytes:
        """The object; `LookupError` when there is none, `ValueError` when it has more than `limit` bytes."""
        try:
            stored, file = self._store.open(bucket, key)
        except OssError as error:
            raise LookupError(error.code) from error
        with file:
            if stored.size > limit:
                raise ValueError(f"{stored.size} bytes")
            return file.read(stored.size)

    def temporary_bucket(self) -> str:
        """The lent bucket, made when it is first asked for."""
        if all(bucket.name != self._bucket for bucket in self._store.buckets()):
            self._store.create_bucket(self._bucket)
        return self._bucket
