"""Uploads in parts: parts are blobs of their own until one write transaction makes an object of them.

Rules: help.aliyun.com/en/oss/developer-reference/completemultipartupload and its neighbours.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from localcloud.oss.blobs import COPY_CHUNK_BYTES, Spool
from localcloud.oss.errors import OssError
from localcloud.oss.names import check_key
from localcloud.oss.records import MULTIPART, Attributes, MultipartUpload, Part, StoredObject
from localcloud.oss.store import FileStore

MIN_PART_BYTES = 100 * 1024
MAX_PARTS = 10_000


class Multipart:
    """The uploads in parts of a store. Every method blocks and belongs in a thread."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def initiate(self, bucket: str, key: str, attributes: Attributes, *, forbid_overwrite: bool) -> MultipartUpload:
        """Begin an upload; `NoSuchBucket`, or `FileAlreadyExists` as in `FileStore.commit`."""
        check_key(key)
        upload_id = secrets.token_hex(16).upper()
        upload = MultipartUpload(upload_id, bucket, key, self._store.clock.now(), attributes, forbid_overwrite)
        with self._store.database.writing():
            home = self._store.bucket(bucket)
            if forbid_overwrite and not home.versioning and self._store.index.object(bucket, key):
                raise OssError("FileAlreadyExists", fields={"Key": key})
            self._store.uploads.add(upload)
        return upload

    def find(self, bucket: str, key: str, upload_id: str) -> MultipartUpload:
        """The upload; `NoSuchBucket`, or `NoSuchUpload` also when it belongs to another key."""
        self._store.bucket(bucket)
        upload = self._store.uploads.find(upload_id)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise OssError("NoSuchUpload", fields={"UploadId": upload_id})
        return upload

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, spool: Spool) -> Part:
        """Commit a part, replacing one of the same number; `NoSuchUpload`."""
        sums = spool.checksums
        self.find(bucket, key, upload_id)
        blob = self._store.blobs.adopt(spool)
        now = self._store.clock.now()
        part = Part(upload_id, number, blob, sums.size, sums.md5.hex().upper(), sums.crc64, now)
        try:
            with self._store.database.writing():
                self.find(bucket, key, upload_id)
                replaced = self._store.uploads.put_part(part)
        except BaseException:
            self._store.blobs.remove(blob)
            raise
        if replaced:
            self._store.blobs.remove(replaced)
        return part

    def parts(self, bucket: str, key: str, upload_id: str) -> list[Part]:
        """An upload's parts by number; `NoSuchUpload`."""
        self.find(bucket, key, upload_id)
        return self._store.uploads.parts(upload_id)

    def uploads(self, bucket: str, prefix: str) -> list[MultipartUpload]:
        """A bucket's uploads by key, then by id; `NoSuchBucket`."""
        self._store.bucket(bucket)
        return self._store.uploads.of_bucket(bucket, prefix)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Forget an upload and its parts; `NoSuchUpload`."""
        with self._store.database.writing():
            self.find(bucket, key, upload_id)
            blobs = self._store.uploads.drop(upload_id)
        self._remove(blobs)

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        wanted: Sequence[tuple[int, str]] | None,
        *,
        forbid_overwrite: bool,
    ) -> tuple[StoredObject, int]:
        """Make one object of the parts; returns it and the size of what it replaced.

        Parameters
        ----------
        wanted
            (number, ETag without quotes) in the order of the object, or None for all parts (`x-oss-complete-all`).

        Raises
        ------
        OssError
            `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`, `FileAlreadyExists`.
        """
        upload = self.find(bucket, key, upload_id)
        while True:
            present = self._store.uploads.parts(upload_id)
            chosen = _choose(present, wanted)
            spool = self._store.spool()
            try:
                try:
                    self._join(chosen, spool)
                except FileNotFoundError:  # a part was replaced, or the upload completed or aborted, meanwhile
                    self.find(bucket, key, upload_id)
                    continue
                return self._commit(upload, present, chosen, spool, forbid_overwrite)
            except _Changed:
                continue
            finally:
                spool.discard()

    def _join(self, parts: list[Part], spool: Spool) -> None:
        for part in parts:
            with self._store.blobs.path(part.blob).open("rb") as source:
                while chunk := source.read(COPY_CHUNK_BYTES):
                    spool.write(chunk)

    def _commit(
        self, upload: MultipartUpload, present: list[Part], chosen: list[Part], spool: Spool, forbid: bool
    ) -> tuple[StoredObject, int]:
        garbage: list[str] = []

        def forget() -> None:
            self.find(upload.bucket, upload.key, upload.upload_id)
            if self._store.uploads.parts(upload.upload_id) != present:
                raise _Changed
            garbage.extend(self._store.uploads.drop(upload.upload_id))

        sums = spool.checksums
        stored = StoredObject(
            upload.bucket,
            upload.key,
            self._store.blobs.adopt(spool),
            sums.size,
            _etag(chosen),
            sums.crc64,
            "",
            MULTIPART,
            self._store.clock.now(),
            upload.attributes,
        )
        done = self._store.commit(stored, forbid_overwrite=forbid or upload.forbid_overwrite, also=forget)
        self._remove(garbage)
        return done

    def _remove(self, blobs: list[str]) -> None:
        for blob in blobs:
            self._store.blobs.remove(blob)


class _Changed(Exception):
    """A part was uploaded while the object was put together from the ones before."""


def _choose(present: list[Part], wanted: Sequence[tuple[int, str]] | None) -> list[Part]:
    by_number = {part.number: part for part in present}
    chosen = list(present)
    if wanted is not None:
        if [number for number, _ in wanted] != sorted({number for number, _ in wanted}):
            raise OssError("InvalidPartOrder")
        chosen = []
        for number, etag in wanted:
            part = by_number.get(number)
            if part is None or part.etag != etag.upper():
                raise OssError("InvalidPart", fields={"PartNumber": str(number), "ETag": etag})
            chosen.append(part)
    if not chosen:
        raise OssError("InvalidPart", "An upload without parts can not be completed.")
    for part in chosen[:-1]:
        if part.size < MIN_PART_BYTES:
            sizes = {"MinSizeAllowed": str(MIN_PART_BYTES), "ProposedSize": str(part.size)}
            raise OssError("EntityTooSmall", fields={**sizes, "PartNumber": str(part.number), "ETag": part.etag})
    return chosen


def _etag(parts: list[Part]) -> str:
    # OSS documents only that it is not the content's MD5; that the rest is the MD5 of the parts' MD5s is assumed.
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts)).hexdigest().upper()
    return f"{digest}-{len(parts)}"
