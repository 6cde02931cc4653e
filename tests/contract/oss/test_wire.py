"""HTTP as it is on the wire: continue, lengths, broken uploads, bounded memory."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from urllib.parse import urlsplit

import oss2
import pytest

from .conftest import MAX_OBJECT_BYTES, Server


def connect(server: Server) -> socket.socket:
    host, _, port = server.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def head_of(url: str, method: str, *headers: str) -> bytes:
    parts = urlsplit(url)
    lines = [f"{method} {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def read_head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1)
        if not piece:
            break
        data += piece
    return data


def test_a_client_that_waits_for_continue_is_served(server: Server, bucket: oss2.Bucket) -> None:
    url = bucket.sign_url("PUT", "k", 60)
    with connect(server) as connection:
        connection.sendall(head_of(url, "PUT", "Content-Length: 5", "Expect: 100-continue"))
        assert read_head(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
    assert bucket.get_object("k").read() == b"hello"


@pytest.mark.parametrize(
    ("url_of", "length", "status"),
    [
        (lambda bucket: bucket.sign_url("PUT", "k", 60) + "0", 5, 403),
        (lambda bucket: bucket.sign_url("PUT", "k", 60), MAX_OBJECT_BYTES + 1, 400),
        (lambda bucket: bucket.sign_url("PUT", "k", 60, params={"acl": ""}), 5, 501),
    ],
)
def test_a_refusal_comes_instead_of_continue(server: Server, bucket: oss2.Bucket, url_of, length, status) -> None:
    with connect(server) as connection:
        connection.sendall(head_of(url_of(bucket), "PUT", f"Content-Length: {length}", "Expect: 100-continue"))
        assert read_head(connection).startswith(f"HTTP/1.1 {status} ".encode())


def test_an_upload_without_a_length_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    with connect(server) as connection:
        connection.sendall(head_of(bucket.sign_url("PUT", "k", 60), "PUT"))
        assert read_head(connection).startswith(b"HTTP/1.1 411 ")
    assert not bucket.object_exists("k")


def test_an_upload_that_breaks_off_leaves_nothing(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"whole")
    url = bucket.sign_url("PUT", "k", 60)
    with connect(server) as connection:
        connection.sendall(head_of(url, "PUT", "Content-Length: 2000000") + b"x" * 1_000_000)
    incoming = server.root / "blobs" / "incoming"
    deadline = time.monotonic() + 10
    while any(incoming.iterdir()):
        assert time.monotonic() < deadline, "the temporary file stays"
        threading.Event().wait(0.01)
    assert bucket.get_object("k").read() == b"whole"
    assert len(server.events) == 1


def test_a_refused_upload_leaves_no_file_behind(server: Server, bucket: oss2.Bucket) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("k", b"first")
    for _ in range(3):
        with pytest.raises(oss2.exceptions.ServerError):
            bucket.put_object("k", b"x" * 600_000, headers=forbid)
        bucket.put_object("other", b"y")
    assert sorted(path.stat().st_size for path in (server.root / "blobs").rglob("*") if path.is_file()) == [1, 5]


def test_head_says_the_length_and_sends_no_body(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"hello")
    with connect(server) as connection:
        connection.sendall(head_of(bucket.sign_url("HEAD", "k", 60), "HEAD", "Connection: close"))
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 5" in head
    assert body == b""


def test_a_request_that_pipelines_after_a_refusal_is_not_misread(server: Server, bucket: oss2.Bucket) -> None:
    session = oss2.Session(pool_size=1)
    pooled = oss2.Bucket(bucket.auth, server.endpoint, bucket.bucket_name, region="cn-beijing", session=session)
    with contextlib.suppress(oss2.exceptions.OssError):  # the refusal, or a broken pipe when it overtakes the body
        pooled.put_object("k", b"GET / HTTP/1.1\r\n\r\n" * 50_000, headers={"x-oss-tagging": "a=b"})
    assert pooled.put_object("k", b"hello").status == 200


def test_large_objects_do_not_live_in_memory(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"x" * MAX_OBJECT_BYTES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connections = [connect(server) for _ in range(8)]
    url = bucket.sign_url("GET", "k", 60)
    for connection in connections:
        connection.sendall(head_of(url, "GET"))
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")  # and the rest stays unread
    for connection in connections:
        connection.close()
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 8 * MAX_OBJECT_BYTES / 1024 / 2
