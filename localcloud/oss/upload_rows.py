"""The rows of uploads in parts."""

from __future__ import annotations

import json
from typing import Any

from localcloud.oss.database import Database
from localcloud.oss.records import Attributes, MultipartUpload, Part

_UPLOAD = "upload_id, bucket, key, initiated_at, content_type, headers, metadata, tags, forbid_overwrite"
_PART = "upload_id, number, blob, size, etag, crc64, modified_at"


class UploadRows:
    """Which uploads are under way. Every method blocks; writes belong inside `database.writing()`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _execute(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        return self._database.connection().execute(query, values)

    def add(self, upload: MultipartUpload) -> None:
        """Insert an upload."""
        attributes = upload.attributes
        self._execute(
            f"insert into uploads ({_UPLOAD}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            (
                upload.upload_id,
                upload.bucket,
                upload.key,
                upload.initiated_at,
                attributes.content_type,
                json.dumps(attributes.headers),
                json.dumps(attributes.metadata),
                json.dumps(attributes.tags),
                int(upload.forbid_overwrite),
            ),
        )

    def find(self, upload_id: str) -> MultipartUpload | None:
        """The upload of that id."""
        row = self._execute(f"select {_UPLOAD} from uploads where upload_id = ?", (upload_id,)).fetchone()  # noqa: S608
        return _upload(row) if row else None

    def of_bucket(self, bucket: str, prefix: str = "") -> list[MultipartUpload]:
        """A bucket's uploads by key, then by id."""
        query = f"select {_UPLOAD} from uploads where bucket = ? and key >= ? order by key, upload_id"  # noqa: S608
        uploads = (_upload(row) for row in self._execute(query, (bucket, prefix)))
        return [upload for upload in uploads if upload.key.startswith(prefix)]

    def drop(self, upload_id: str) -> list[str]:
        """Delete an upload with its parts; returns the blobs that nobody names any more."""
        blobs = [part.blob for part in self.parts(upload_id)]
        self._execute("delete from parts where upload_id = ?", (upload_id,))
        self._execute("delete from uploads where upload_id = ?", (upload_id,))
        return blobs

    def put_part(self, part: Part) -> str:
        """Insert or replace a part; returns the blob it replaced, "" if none."""
        query = "select blob from parts where upload_id = ? and number = ?"
        row = self._execute(query, (part.upload_id, part.number)).fetchone()
        self._execute(
            f"insert or replace into parts ({_PART}) values (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (part.upload_id, part.number, part.blob, part.size, part.etag, str(part.crc64), part.modified_at),
        )
        return str(row[0]) if row else ""

    def parts(self, upload_id: str) -> list[Part]:
        """An upload's parts by number."""
        rows = self._execute(f"select {_PART} from parts where upload_id = ? order by number", (upload_id,))  # noqa: S608
        return [Part(row[0], row[1], row[2], row[3], row[4], int(row[5]), row[6]) for row in rows]


def _upload(row: Any) -> MultipartUpload:
    attributes = Attributes(row[4], json.loads(row[5]), json.loads(row[6]), json.loads(row[7]))
    return MultipartUpload(row[0], row[1], row[2], row[3], attributes, bool(row[8]))
