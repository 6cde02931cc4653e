"""The SQLite file of a store: connections per thread, and write transactions in which processes take turns."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_TIMEOUT_SECONDS = 60.0

_ROW = """
    bucket text not null, key text not null, blob text not null, size integer not null, etag text not null,
    crc64 text not null, content_md5 text not null, object_type text not null, modified_at real not null,
    content_type text not null, headers text not null, metadata text not null, tags text not null default '{}',
    version_id text not null default 'null', sequence integer not null default 0
"""
# `objects` holds what a listing shows: the current versions that are no delete markers. `versions` holds all else.
_SCHEMA = f"""
create table if not exists buckets (
    name text primary key, created_at real not null, versioning text not null default ''
) without rowid;
create table if not exists objects ({_ROW}, primary key (bucket, key)) without rowid;
create table if not exists versions ({_ROW}, marker integer not null, primary key (bucket, key, version_id));
create table if not exists settings (
    bucket text not null, name text not null, document text not null, primary key (bucket, name)
) without rowid;
create table if not exists uploads (
    upload_id text primary key, bucket text not null, key text not null, initiated_at real not null,
    content_type text not null, headers text not null, metadata text not null, tags text not null,
    forbid_overwrite integer not null
) without rowid;
create index if not exists uploads_by_key on uploads (bucket, key, upload_id);
create table if not exists parts (
    upload_id text not null, number integer not null, blob text not null, size integer not null, etag text not null,
    crc64 text not null, modified_at real not null, primary key (upload_id, number)
) without rowid;
create table if not exists counter (value integer not null);
insert into counter select 0 where not exists (select 1 from counter);
"""  # noqa: S608 - constants
# Columns that stores of earlier releases lack.
_ADDED = {
    "buckets": {"versioning": "text not null default ''"},
    "objects": {
        "tags": "text not null default '{}'",
        "version_id": "text not null default 'null'",
        "sequence": "integer not null default 0",
    },
}


class Database:
    """One SQLite file. Every method blocks; connections are per thread.

    `synchronous=NORMAL` with a write-ahead log: what was acknowledged outlives a kill -9, not a power cut.
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
            connection = self.connection()
            connection.execute("pragma journal_mode=wal")
            connection.executescript(_SCHEMA)
            for table, columns in _ADDED.items():
                present = {row[1] for row in connection.execute(f"pragma table_info({table})")}
                for name, definition in columns.items():
                    if name not in present:
                        connection.execute(f"alter table {table} add column {name} {definition}")

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("pragma synchronous=normal")
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
            connection = self.connection()
            connection.execute("begin immediate")
            try:
                yield
                connection.execute("commit")
            except BaseException:
                connection.execute("rollback")
                raise

    def close(self) -> None:
        """Close all connections; no other thread may be using them."""
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._turn.close()
        self._local = threading.local()
