"""The SQLite index of a store: which objects exist, in write transactions in which processes take turns."""

from __future__ import annotations

import fcntl
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.oss.records import Attributes, Bucket, StoredObject

BUSY_TIMEOUT_SECONDS = 60.0

_SCHEMA = """
create table if not exists buckets (name text primary key, created_at real not null) without rowid;
create table if not exists objects (
    bucket text not null, key text not null, blob text not null, size integer not null, etag text not null,
    crc64 text not null, content_md5 text not null, object_type text not null, modified_at real not null,
    content_type text not null, headers text not null, metadata text not null,
    primary key (bucket, key)
) without rowid;
"""
_COLUMNS = (
    "bucket, key, blob, size, etag, crc64, content_md5, object_type, modified_at, content_type, headers, metadata"
)


class Index:
    """Rows of buckets and objects. Every method blocks; connections are per thread.

    `synchronous=FULL`: what was acknowledged is on disk, not only in the kernel.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._turn = path.with_suffix(".turn").open("w")
        # `pragma journal_mode=wal` does not heed the busy timeout: one of several processes starting at once would die
        # with "database is locked". So the first touch waits for its turn like any write.
        with self._in_turn():
            connection = self._connection()
            connection.execute("pragma journal_mode=wal")
            connection.executescript(_SCHEMA)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("pragma synchronous=full")
            self._local.connection = connection
            with self._guard:
                self._connections.append(connection)
        return connection

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        # SQLite alone would do, but whoever waits for it polls with pauses of up to 100 ms, and a busy neighbour can
        # starve it for seconds. A killed process leaves its turn to others: the kernel drops the lock.
        with self._writing:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One write transaction: nobody else, in this process or another, is inside one meanwhile."""
        with self._in_turn():
            connection = self._connection()
            connection.execute("begin immediate")
            try:
                yield
                connection.execute("commit")
            except BaseException:
                connection.execute("rollback")
                raise

    def close(self) -> None:
        """Close all connections; no other thread may be using the index."""
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._turn.close()
        self._local = threading.local()

    def bucket(self, name: str) -> Bucket | None:
        """The bucket of that name."""
        row = self._connection().execute("select name, created_at from buckets where name = ?", (name,)).fetchone()
        return Bucket(*row) if row else None

    def buckets(self) -> list[Bucket]:
        """All buckets by name."""
        rows = self._connection().execute("select name, created_at from buckets order by name")
        return [Bucket(*row) for row in rows]

    def add_bucket(self, bucket: Bucket) -> None:
        """Insert a bucket; raises sqlite3.IntegrityError if there is one of that name."""
        self._connection().execute("insert into buckets values (?, ?)", (bucket.name, bucket.created_at))

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket's row."""
        self._connection().execute("delete from buckets where name = ?", (name,))

    def object(self, bucket: str, key: str) -> StoredObject | None:
        """The object of that key."""
        query = f"select {_COLUMNS} from objects where bucket = ? and key = ?"  # noqa: S608 - a constant
        row = self._connection().execute(query, (bucket, key)).fetchone()
        return _stored(row) if row else None

    def objects(self, bucket: str, start: str, *, inclusive: bool, limit: int) -> list[StoredObject]:
        """Up to `limit` objects from `start` on, in the order of their keys' UTF-8 bytes."""
        comparison = ">=" if inclusive else ">"
        query = f"select {_COLUMNS} from objects where bucket = ? and key {comparison} ? order by key limit ?"  # noqa: S608
        return [_stored(row) for row in self._connection().execute(query, (bucket, start, limit))]

    def put_object(self, stored: StoredObject) -> None:
        """Insert or replace an object's row."""
        self._connection().execute(
            f"insert or replace into objects ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                stored.bucket,
                stored.key,
                stored.blob,
                stored.size,
                stored.etag,
                str(stored.crc64),  # 64 bits unsigned do not fit SQLite's integer
                stored.content_md5,
                stored.object_type,
                stored.modified_at,
                stored.attributes.content_type,
                json.dumps(stored.attributes.headers),
                json.dumps(stored.attributes.metadata),
            ),
        )

    def drop_object(self, bucket: str, key: str) -> None:
        """Delete an object's row."""
        self._connection().execute("delete from objects where bucket = ? and key = ?", (bucket, key))

    def blob_names(self) -> set[str]:
        """The blobs that rows name."""
        return {row[0] for row in self._connection().execute("select blob from objects")}


def _stored(row: tuple[str, str, str, int, str, str, str, str, float, str, str, str]) -> StoredObject:
    attributes = Attributes(row[9], json.loads(row[10]), json.loads(row[11]))
    return StoredObject(*row[:5], int(row[5]), *row[6:9], attributes)
