"""The rows of buckets, objects and their versions."""

from __future__ import annotations

import json
from typing import Any

from localcloud.oss.database import Database
from localcloud.oss.records import Attributes, Bucket, StoredObject, Version

_COLUMNS = (
    "bucket, key, blob, size, etag, crc64, content_md5, object_type, modified_at, content_type, headers, metadata,"
    " tags, version_id, sequence"
)
_PLACES = ", ".join("?" * 15)


class Index:
    """Which buckets and objects exist. Every method blocks; writes belong inside `database.writing()`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _execute(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        return self._database.connection().execute(query, values)

    # buckets

    def bucket(self, name: str) -> Bucket | None:
        """The bucket of that name."""
        row = self._execute("select name, created_at, versioning from buckets where name = ?", (name,)).fetchone()
        return Bucket(*row) if row else None

    def buckets(self) -> list[Bucket]:
        """All buckets by name."""
        return [Bucket(*row) for row in self._execute("select name, created_at, versioning from buckets order by name")]

    def add_bucket(self, bucket: Bucket) -> None:
        """Insert a bucket; raises sqlite3.IntegrityError if there is one of that name."""
        self._execute("insert into buckets (name, created_at) values (?, ?)", (bucket.name, bucket.created_at))

    def set_versioning(self, name: str, status: str) -> None:
        """Set a bucket's versioning: `Enabled` or `Suspended`."""
        self._execute("update buckets set versioning = ? where name = ?", (status, name))

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket's row and its settings."""
        self._execute("delete from buckets where name = ?", (name,))
        self._execute("delete from settings where bucket = ?", (name,))

    def setting(self, bucket: str, name: str) -> str | None:
        """A bucket's setting, such as its lifecycle."""
        row = self._execute("select document from settings where bucket = ? and name = ?", (bucket, name)).fetchone()
        return str(row[0]) if row else None

    def set_setting(self, bucket: str, name: str, document: str | None) -> None:
        """Set a bucket's setting, or drop it with None."""
        if document is None:
            self._execute("delete from settings where bucket = ? and name = ?", (bucket, name))
        else:
            self._execute("insert or replace into settings values (?, ?, ?)", (bucket, name, document))

    # current objects

    def object(self, bucket: str, key: str) -> StoredObject | None:
        """The current object of that key; None also when its current version is a delete marker."""
        query = f"select {_COLUMNS} from objects where bucket = ? and key = ?"  # noqa: S608 - a constant
        row = self._execute(query, (bucket, key)).fetchone()
        return _stored(row) if row else None

    def objects(self, bucket: str, start: str, *, inclusive: bool, limit: int) -> list[StoredObject]:
        """Up to `limit` objects from `start` on, in the order of their keys' UTF-8 bytes."""
        comparison = ">=" if inclusive else ">"
        query = f"select {_COLUMNS} from objects where bucket = ? and key {comparison} ? order by key limit ?"  # noqa: S608
        return [_stored(row) for row in self._execute(query, (bucket, start, limit))]

    def put_object(self, stored: StoredObject) -> None:
        """Insert or replace the row of a current object."""
        self._execute(f"insert or replace into objects ({_COLUMNS}) values ({_PLACES})", _row(stored))  # noqa: S608

    def drop_object(self, bucket: str, key: str) -> None:
        """Delete a current object's row."""
        self._execute("delete from objects where bucket = ? and key = ?", (bucket, key))

    # versions: those that are not current, and all delete markers

    def next_sequence(self) -> int:
        """A number greater than all before: newer versions have greater ones."""
        return int(self._execute("update counter set value = value + 1 returning value").fetchone()[0])

    def version(self, bucket: str, key: str, version_id: str) -> Version | None:
        """A version that is no current object."""
        query = f"select {_COLUMNS}, marker from versions where bucket = ? and key = ? and version_id = ?"  # noqa: S608
        row = self._execute(query, (bucket, key, version_id)).fetchone()
        return Version(_stored(row[:15]), bool(row[15])) if row else None

    def newest_version(self, bucket: str, key: str) -> Version | None:
        """The newest of the versions that are no current object."""
        query = (
            f"select {_COLUMNS}, marker from versions where bucket = ? and key = ?"  # noqa: S608
            " order by sequence desc limit 1"
        )
        row = self._execute(query, (bucket, key)).fetchone()
        return Version(_stored(row[:15]), bool(row[15])) if row else None

    def put_version(self, version: Version) -> None:
        """Insert or replace a version's row."""
        self._execute(
            f"insert or replace into versions ({_COLUMNS}, marker) values ({_PLACES}, ?)",  # noqa: S608
            (*_row(version.stored), int(version.marker)),
        )

    def drop_version(self, bucket: str, key: str, version_id: str) -> None:
        """Delete a version's row."""
        self._execute("delete from versions where bucket = ? and key = ? and version_id = ?", (bucket, key, version_id))

    def has_versions(self, bucket: str) -> bool:
        """Whether a bucket holds versions or markers beside its current objects."""
        return self._execute("select 1 from versions where bucket = ? limit 1", (bucket,)).fetchone() is not None

    def versions(self, bucket: str, start: str, limit: int, *, inclusive: bool = True) -> list[Version]:
        """Up to `limit` versions of all kinds from the key `start` on: keys ascending, the newest version first."""
        comparison = ">=" if inclusive else ">"
        query = (
            f"select {_COLUMNS}, 0, 1 from objects where bucket = ?1 and key {comparison} ?2 union all "  # noqa: S608
            f"select {_COLUMNS}, marker, marker and not exists (select 1 from objects o where o.bucket = v.bucket and "
            "o.key = v.key) and sequence = (select max(sequence) from versions w where w.bucket = v.bucket and "
            f"w.key = v.key) from versions v where bucket = ?1 and key {comparison} ?2 "
            "order by key, sequence desc limit ?3"
        )
        rows = self._execute(query, (bucket, start, limit))
        return [Version(_stored(row[:15]), bool(row[15]), bool(row[16])) for row in rows]

    def blob_names(self) -> set[str]:
        """The blobs that rows name, parts of uploads included."""
        query = "select blob from objects union select blob from versions union select blob from parts"
        return {row[0] for row in self._execute(query)}


def _row(stored: StoredObject) -> tuple[Any, ...]:
    attributes = stored.attributes
    return (
        stored.bucket,
        stored.key,
        stored.blob,
        stored.size,
        stored.etag,
        str(stored.crc64),  # 64 bits unsigned do not fit SQLite's integer
        stored.content_md5,
        stored.object_type,
        stored.modified_at,
        attributes.content_type,
        json.dumps(attributes.headers),
        json.dumps(attributes.metadata),
        json.dumps(attributes.tags),
        stored.version_id,
        stored.sequence,
    )


def _stored(row: Any) -> StoredObject:
    attributes = Attributes(row[9], json.loads(row[10]), json.loads(row[11]), json.loads(row[12]))
    return StoredObject(
        bucket=row[0],
        key=row[1],
        blob=row[2],
        size=row[3],
        etag=row[4],
        crc64=int(row[5]),
        content_md5=row[6],
        object_type=row[7],
        modified_at=row[8],
        attributes=attributes,
        version_id=row[13],
        sequence=row[14],
    )
