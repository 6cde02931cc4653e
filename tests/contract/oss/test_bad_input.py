"""Malformed and slow clients: OSS's own XML or a closed connection, and nobody else waits."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import quote

import oss2
import pytest
import requests

from localcloud import oss

from .conftest import BUCKET, Server, serve
from .test_objects import refusal
from .test_signatures import answer
from .test_wire import connect, head_of, read_head

DOCUMENTS = {
    "versioning": ("PUT", {"versioning": ""}),
    "lifecycle": ("PUT", {"lifecycle": ""}),
    "cors": ("PUT", {"cors": ""}),
    "delete": ("POST", {"delete": ""}),
}
NO_DOCUMENTS = [
    b"",
    b"<",
    b"\xff\xfe\x00",
    b"<Other/>",
    b'<!DOCTYPE a [<!ENTITY b "c">]><Delete>&b;</Delete>',
    b"<Delete>" * 2000,
    b"{}",
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_no_document_is_malformed(bucket: oss2.Bucket, name: str) -> None:
    method, params = DOCUMENTS[name]
    for body in NO_DOCUMENTS:
        headers = {"Content-MD5": oss2.utils.content_md5(body)}
        assert refusal(bucket._do, method, BUCKET, "", params=params, data=body, headers=headers) == (
            400,
            "MalformedXML",
        )


def test_a_document_has_a_bounded_size(bucket: oss2.Bucket) -> None:
    body = b" " * (3 << 20)
    assert refusal(bucket._do, "PUT", BUCKET, "", params={"lifecycle": ""}, data=body) == (400, "MalformedXML")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("OSS ", 400), ("OSS a", 400), ("OSS :", 403), ("OSS4-HMAC-SHA256 ", 400),
        ("OSS4-HMAC-SHA256 Credential=", 400),
        ("OSS4-HMAC-SHA256 Credential=" + "a/" * 500 + ",Signature=b", 400),
        ("\xe4\xb8\xad", 400),
    ],
)  # fmt: skip
def test_an_authorization_that_is_none_is_refused_in_xml(server: Server, authorization: str, status: int) -> None:
    response = requests.get(
        f"{server.endpoint}/{BUCKET}/k", headers={"Authorization": authorization.encode("latin-1")}, timeout=10
    )
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("application/xml")
    assert "<RequestId>" in response.text


@pytest.mark.parametrize(
    "query",
    [
        "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=",
        "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=0&x-oss-date=now&x-oss-expires=1",
        "Signature=a&OSSAccessKeyId=b&Expires=%00",
        "Signature=a&OSSAccessKeyId=b&Expires=99999999999999999999999999",
        "x-oss-signature=%ff",
    ],
)
def test_a_query_signature_that_is_none_is_refused_in_xml(server: Server, query: str) -> None:
    response = requests.get(f"{server.endpoint}/{BUCKET}/k?{query}", timeout=10)
    assert response.status_code in (400, 403)
    assert answer(response)[1]


def test_a_chunked_upload_is_stored(server: Server, bucket: oss2.Bucket) -> None:
    pieces = (bytes([number]) * 70_000 for number in range(3))
    assert requests.put(bucket.sign_url("PUT", "k", 60), data=pieces, timeout=10).status_code == 200
    assert bucket.head_object("k").content_length == 210_000


@pytest.mark.parametrize(
    "body", [b"zz\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n"]
)
def test_broken_chunks_are_refused_and_store_nothing(tmp_path: Path, body: bytes) -> None:
    server = Server(tmp_path / "oss")
    with serve(server, stall_seconds=0.2), connect(server) as connection:
        bucket = server.bucket()
        connection.sendall(head_of(bucket.sign_url("PUT", "k", 60), "PUT", "Transfer-Encoding: chunked"))
        connection.sendall(body)
        # by the HTTP server's own parser at once, or, where it tells nobody, as a client that stalls
        assert read_head(connection).split()[1] == b"400"
        assert not bucket.object_exists("k")
        assert server.events == []


def test_a_header_beyond_all_bounds_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    headers = {"x-oss-meta-a": "x" * 4000, "x-oss-meta-b": "y" * 4200}
    assert refusal(bucket.put_object, "k", b"", headers=headers) == (400, "InvalidArgument")
    with connect(server) as connection:
        connection.sendall(head_of(bucket.sign_url("GET", "k", 60), "GET", "X-Long: " + "x" * 100_000))
        assert read_head(connection).split()[1] == b"400"
    assert requests.get(f"{server.endpoint}/{BUCKET}/{'k' * 1500}", timeout=10).status_code == 400


def test_bytes_that_are_no_http_are_refused(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert read_head(connection).startswith(b"HTTP/1.")


def test_a_slow_upload_holds_nobody_up(server: Server, bucket: oss2.Bucket) -> None:
    slow = [connect(server) for _ in range(40)]  # more than there are threads
    for number, connection in enumerate(slow):
        connection.sendall(head_of(bucket.sign_url("PUT", f"slow-{number}", 60), "PUT", "Content-Length: 5") + b"he")
    bucket.put_object("k", b"hello")
    assert bucket.get_object("k").read() == b"hello"
    for connection in slow:
        connection.sendall(b"llo")
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        connection.close()
    assert bucket.get_object("slow-39").read() == b"hello"


def body_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("path", ["put", "form", "document"])
def test_a_client_that_stalls_is_dropped(tmp_path: Path, path: str) -> None:
    server = Server(tmp_path / "oss")
    with serve(server, stall_seconds=0.2), connect(server) as connection:
        bucket = server.bucket()
        head = {
            "put": lambda: head_of(bucket.sign_url("PUT", "k", 60), "PUT", "Content-Length: 500"),
            "form": lambda: head_of(
                f"{server.endpoint}/{BUCKET}",
                "POST",
                "Content-Length: 500",
                "Content-Type: multipart/form-data; boundary=x",
            ),
            "document": lambda: head_of(
                bucket.sign_url("PUT", "k", 60, params={"tagging": ""}), "PUT", "Content-Length: 500"
            ),
        }[path]()
        began = time.monotonic()
        connection.sendall(head + b"--x")
        answered = body_of(connection)
        assert time.monotonic() - began < 10
        assert answered.startswith(b"HTTP/1.1 400 ")
        assert b"<Code>RequestTimeout</Code>" in answered
        assert not bucket.object_exists("k")
        assert not list((server.root / "blobs" / "incoming").iterdir())


def test_a_client_is_given_a_minute() -> None:
    assert oss.STALL_SECONDS == 60


@pytest.mark.parametrize("digits", ["9" * 5000, "²"], ids=["thousands", "superscript"])
@pytest.mark.parametrize(
    "query",
    [
        "OSSAccessKeyId=x&Signature=x&Expires={}",
        "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=x&x-oss-credential=x"
        "&x-oss-date=20260101T000000Z&x-oss-expires={}",
    ],
    ids=["V1", "V4"],
)
def test_a_number_that_is_none_is_refused_before_any_signature(server: Server, query: str, digits: str) -> None:
    answer = requests.get(f"{server.endpoint}/{BUCKET}/key?{query.format(quote(digits))}", timeout=10)
    assert answer.status_code in (400, 403)
    assert answer.content.startswith(b"<?xml")


def test_numbers_and_dates_beyond_all_bounds_are_refused_or_ignored(bucket: oss2.Bucket) -> None:
    bucket.put_object("key", b"0123456789")
    nines = "9" * 5000
    assert bucket.get_object("key", headers={"Range": f"bytes=0-{nines}"}).read() == b"0123456789"
    for params in ({"position": nines, "append": ""}, {"partNumber": nines, "uploadId": "x"}):
        with pytest.raises(oss2.exceptions.ServerError) as refused:
            method = "POST" if "append" in params else "PUT"
            bucket._do(method, bucket.bucket_name, "other", params=params, data=b"x")
        assert 400 <= refused.value.status < 500
    future = "Sun, 22 Nov 2026 19:55:00 +99999999999999999999"
    assert bucket.get_object("key", headers={"If-Unmodified-Since": future}).status == 200
