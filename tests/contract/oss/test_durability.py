"""What was acknowledged survives a kill, two processes agree on every winner, nobody reads half a blob."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import oss2
import pytest

from localcloud.account import AccessKey
from localcloud.clock import Clock
from localcloud.oss import FileStore

from .conftest import BUCKET, Server, v4

ROOT = Path(__file__).parents[3]
KEY = AccessKey("LTAItest", "secret")


class Process:
    """An OSS server in a process of its own."""

    def __init__(self, root: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        command = [sys.executable, "-m", "support.oss_process", str(root), KEY.access_key_id, KEY.access_key_secret]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def ready(self) -> Process:
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def bucket(self) -> oss2.Bucket:
        endpoint = f"http://127.0.0.1:{self.port}"
        return oss2.Bucket(v4(KEY), endpoint, BUCKET, region="cn-beijing", connect_timeout=20)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    started = [Process(tmp_path / "oss") for _ in range(2)]  # at once: the first touch of the index is raced too
    yield [process.ready() for process in started]
    for process in started:
        process.kill()


def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    first = Process(tmp_path / "oss").ready()
    bucket = first.bucket()
    bucket.create_bucket()
    acknowledged: dict[str, bytes] = {}
    position = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal position
        number = 0
        while not stop.is_set():
            number += 1
            body = f"{number}:".encode() * 5000
            try:
                bucket.put_object(f"k{number}", body)
                acknowledged[f"k{number}"] = body
                position = bucket.append_object("journal", position, b"0123456789").next_position
            except oss2.exceptions.RequestError:
                return

    writer = threading.Thread(target=write)
    writer.start()
    deadline = time.monotonic() + 30
    while len(acknowledged) < 20:
        assert time.monotonic() < deadline
        stop.wait(0.01)
    first.kill()
    writer.join()
    second = Process(tmp_path / "oss").ready()
    bucket = second.bucket()
    for key, body in acknowledged.items():
        assert bucket.get_object(key).read() == body
    length = bucket.head_object("journal").content_length
    assert length in (position, position + 10)  # the last append may have been done and not answered
    assert bucket.get_object("journal").read() == b"0123456789" * (length // 10)
    assert bucket.append_object("journal", length, b"0123456789").next_position == length + 10
    second.kill()


def test_two_processes_agree_on_one_winner(processes: list[Process]) -> None:
    processes[0].bucket().create_bucket()
    forbid = {"x-oss-forbid-overwrite": "true"}
    writes = {
        "FileAlreadyExists": lambda bucket, key, who: bucket.put_object(key, who, headers=forbid),
        "PositionNotEqualToLength": lambda bucket, key, who: bucket.append_object(key, 0, who),
    }
    for loss, write in writes.items():
        for number in range(6):
            key, outcomes, barrier = f"{loss}-{number}", [], threading.Barrier(8)

            def run(who: int, write=write, key=key, outcomes=outcomes, barrier=barrier) -> None:
                bucket = processes[who % 2].bucket()
                barrier.wait()
                try:
                    write(bucket, key, str(who).encode())
                    outcomes.append(str(who))
                except oss2.exceptions.ServerError as error:
                    outcomes.append(error.code)

            threads = [threading.Thread(target=run, args=(who,)) for who in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            (winner,) = [outcome for outcome in outcomes if outcome != loss]
            assert processes[0].bucket().get_object(key).read() == winner.encode()
            assert processes[1].bucket().get_object(key).read() == winner.encode()


def test_a_journal_shared_by_two_processes_loses_nothing(processes: list[Process]) -> None:
    processes[0].bucket().create_bucket()

    def run(who: int) -> None:
        bucket, position, left = processes[who % 2].bucket(), 0, 15
        while left:
            try:
                position = bucket.append_object("j", position, f"{who}\n".encode()).next_position
                left -= 1
            except oss2.exceptions.PositionNotEqualToLength as error:
                position = error.next_position

    threads = [threading.Thread(target=run, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = processes[1].bucket().get_object("j").read().decode().splitlines()
    assert sorted(lines) == sorted(str(who) for who in range(4) for _ in range(15))


def test_a_reader_never_sees_half_an_object(server: Server) -> None:
    writer, versions = server.bucket(), [bytes([number]) * (200_000 + number) for number in range(4)]
    writer.put_object("k", versions[0])
    stop, anomalies, reads = threading.Event(), [], []

    def read() -> None:
        bucket = server.bucket()
        while not stop.is_set():
            body = bucket.get_object("k").read()
            reads.append(1)
            if body not in versions:
                anomalies.append(body[:10])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(30):
        writer.put_object("k", versions[number % 4])
    stop.set()
    for reader in readers:
        reader.join()
    assert anomalies == []
    assert reads


def test_a_slow_reader_gets_the_object_it_began_with(server: Server, bucket: oss2.Bucket) -> None:
    old = b"a" * 6_000_000
    bucket.put_object("k", old)
    reading = server.bucket().get_object("k")
    first = reading.read(1000)
    bucket.put_object("k", b"new")
    bucket.delete_object("k")
    rest = b"".join(iter(lambda: reading.read(100_000), b""))
    assert first + rest == old


def test_a_reader_of_a_journal_sees_whole_appends(server: Server, bucket: oss2.Bucket) -> None:
    bucket.append_object("j", 0, b"")
    stop, torn = threading.Event(), []

    def read() -> None:
        reader = server.bucket()
        while not stop.is_set():
            body = reader.get_object("j").read()
            if len(body) % 10_000 or body != b"0123456789" * (len(body) // 10):
                torn.append(len(body))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(50):
        bucket.append_object("j", number * 10_000, b"0123456789" * 1000)
    stop.set()
    thread.join()
    assert torn == []


def test_a_copy_that_is_not_committed_yet_is_not_swept(tmp_path: Path) -> None:
    store = FileStore(tmp_path, Clock())
    source = tmp_path / "blobs" / "ab" / "ab00"
    source.write_bytes(b"shared")
    os.utime(source, (1, 1))
    copy = store.blobs.path(store.blobs.link("ab00"))
    store.close()
    FileStore(tmp_path, Clock()).close()
    assert copy.read_bytes() == b"shared"


def test_what_a_crash_left_behind_is_swept(tmp_path: Path) -> None:
    clock = Clock()
    store = FileStore(tmp_path, clock)
    store.create_bucket(BUCKET)
    store.close()
    old, young, partial = (
        tmp_path / "blobs" / "ab" / "ab00", tmp_path / "blobs" / "cd" / "cd00", tmp_path / "blobs" / "incoming" / "x",
    )  # fmt: skip
    for path in (old, young, partial):
        path.write_bytes(b"left")
    for path in (old, partial):
        os.utime(path, (1, 1))
    FileStore(tmp_path, clock).close()
    assert [path.exists() for path in (old, young, partial)] == [False, True, False]


def test_a_store_of_an_earlier_release_is_opened(tmp_path: Path) -> None:
    FileStore(tmp_path, Clock()).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        for name in ("objects", "versions", "settings", "uploads", "parts", "counter", "buckets"):
            index.execute(f"drop table {name}")
        index.executescript("""
            create table buckets (name text primary key, created_at real not null) without rowid;
            create table objects (
                bucket text not null, key text not null, blob text not null, size integer not null, etag text not null,
                crc64 text not null, content_md5 text not null, object_type text not null, modified_at real not null,
                content_type text not null, headers text not null, metadata text not null, primary key (bucket, key)
            ) without rowid;
            insert into buckets values ('old', 1);
            insert into objects values ('old', 'k', 'ab00', 1, 'E', '1', '', 'Normal', 1, 'a/b', '{}', '{"m": "1"}');
        """)
    store = FileStore(tmp_path, Clock())
    found = store.head("old", "k")
    assert (found.size, found.version_id, found.attributes.metadata) == (1, "null", {"m": "1"})
    assert store.bucket("old").versioning == ""
    store.close()
