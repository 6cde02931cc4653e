"""Keys go through unharmed: decoded once, from the raw target, whatever the client's escaping."""

from __future__ import annotations

import http.client

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest

from .conftest import BUCKET, Server, v1, v4

KEYS = [
    "plain",
    "in/2024/录音 1.wav",
    "a+b",
    "a b",
    "a%20b",
    "a%2Fb",
    "a%252Fb",
    "a/b",
    "a//b",
    "a/./b",
    "trailing/",
    "~tilde_-.!*'()",
    "a&b=c?d#e;f",
    'quote"<>\\back',
    "emoji🎧",
    "e\u0301 decomposed",
    "line\nbreak\ttab",
    "%",
    "x" * 1023,
    "录" * 341,
]


@pytest.mark.parametrize("key", KEYS, ids=[key[:20] for key in KEYS])
@pytest.mark.parametrize("signer", [v1, v4])
def test_a_key_is_what_it_was_called(server: Server, key: str, signer) -> None:
    bucket = server.bucket(signer(server.account.root))
    bucket.put_object(key, key.encode())
    assert bucket.get_object(key).read() == key.encode()
    assert server.events[-1]["oss"]["object"]["key"] == key
    assert [found.key for found in oss2.ObjectIteratorV2(bucket)] == [key]
    if "/." not in key:  # requests resolves dot segments before the newer SDK's URL is sent, after it was signed
        body = server.client_v2().get_object(oss_v2.GetObjectRequest(bucket=BUCKET, key=key)).body
        assert body.content == key.encode()


def test_different_spellings_of_one_key_are_one_object_and_different_keys_are_not(bucket: oss2.Bucket) -> None:
    for key in ("a/b", "a%2Fb", "a b", "a+b", "a%20b"):
        bucket.put_object(key, key.encode())
    for key in ("a/b", "a%2Fb", "a b", "a+b", "a%20b"):
        assert bucket.get_object(key).read() == key.encode()


def test_a_parameter_that_is_not_utf8_is_refused(server: Server) -> None:
    connection = http.client.HTTPConnection(server.host, timeout=10)
    connection.request("GET", f"/{BUCKET}/?prefix=%ff")
    response = connection.getresponse()
    assert response.status == 400
    assert b"InvalidArgument" in response.read()
    connection.close()


@pytest.mark.parametrize("key", ["/leading", "\\leading", "//", "x" * 1024, "录" * 342])
def test_a_key_that_oss_refuses_is_refused(bucket: oss2.Bucket, key: str) -> None:
    for call in (lambda: bucket.put_object(key, b""), lambda: bucket.get_object(key)):
        with pytest.raises(oss2.exceptions.ServerError) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (400, "InvalidObjectName")


def test_a_key_that_is_not_utf8_is_refused(server: Server) -> None:
    connection = http.client.HTTPConnection(server.host, timeout=10)
    connection.request("PUT", f"/{BUCKET}/%ff%fe", body=b"")
    response = connection.getresponse()
    assert response.status == 400
    assert b"InvalidObjectName" in response.read()
    connection.close()


def test_a_target_in_absolute_form_is_understood(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("a b/录", b"hello")
    url = bucket.sign_url("GET", "a b/录", 60)
    connection = http.client.HTTPConnection(server.host, timeout=10)
    connection.request("GET", url)  # what a client behind a proxy sends
    assert connection.getresponse().read() == b"hello"
    connection.close()
