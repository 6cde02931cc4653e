"""The rules that OSS shares with S3, held against a second store that others wrote: moto.

Only what moto gets right for oss2: it checks no signature (so it is sent one that is none), its listings carry a
namespace that oss2 does not expect (so they are read here), and copies, appends, checksums and conditional puts are not
OSS's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oss2
import pytest
import requests

from .conftest import BUCKET, Server, serve, v1

KEY = "in/a b+c%20d/录音 1.wav"


class Unchecked(oss2.AnonymousAuth):
    """A signature that nobody checks, and never one with four slashes, which moto takes for another scheme."""

    def _sign_request(self, req: Any, bucket_name: str, key: str) -> None:
        req.headers["Authorization"] = "OSS somebody:signature"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            found = None
            for line in process.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            assert found, "moto did not start"
            yield found[0]
        finally:
            process.kill()


@pytest.fixture(params=["localcloud", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[oss2.Bucket]:
    """An empty bucket in either store."""
    if request.param == "moto":
        endpoint = request.getfixturevalue("moto")
        requests.post(f"{endpoint}/moto-api/reset", timeout=10).close()
        bucket = oss2.Bucket(Unchecked(), endpoint, BUCKET)
        bucket.create_bucket()
        yield bucket
        return
    with serve(Server(tmp_path / "oss")) as server:
        yield server.bucket(v1(server.account.root))


def listing(store: oss2.Bucket, **params: str) -> tuple[list[str], list[str], bool]:
    """Keys, common prefixes, and whether more follow."""
    names = {name.replace("_", "-"): value for name, value in params.items()}
    text = store._do("GET", BUCKET, "", params=names).read().decode()
    prefixes = re.findall("<CommonPrefixes><Prefix>(.*?)</Prefix>", text)
    return re.findall("<Key>(.*?)</Key>", text), prefixes, "<IsTruncated>true<" in text


def test_what_is_put_is_got(store: oss2.Bucket) -> None:
    headers = {"Content-Type": "audio/wav", "Cache-Control": "no-store"}
    etag = store.put_object(KEY, b"hello", headers=headers).etag
    assert etag.upper() == "5D41402ABC4B2A76B9719D911017C592"
    found = store.get_object(KEY)
    assert (found.read(), found.content_type, found.headers["Cache-Control"]) == (b"hello", "audio/wav", "no-store")
    head = store.head_object(KEY)
    assert (head.etag, head.content_length) == (etag, 5)
    store.put_object(KEY, b"")
    assert store.get_object(KEY).read() == b""


def test_a_large_object_comes_back_whole(store: oss2.Bucket) -> None:
    store.put_object("k", b"0123456789" * 200_000)
    assert store.get_object("k").read() == b"0123456789" * 200_000


@pytest.mark.parametrize(
    ("text", "body", "answer"),
    [("bytes=1-3", b"ell", "bytes 1-3/5"), ("bytes=3-", b"lo", "bytes 3-4/5"), ("bytes=-2", b"lo", "bytes 3-4/5")],
)
def test_a_range_within_the_object_is_served(store: oss2.Bucket, text: str, body: bytes, answer: str) -> None:
    store.put_object("k", b"hello")
    found = store.get_object("k", headers={"Range": text})
    assert (found.status, found.read(), found.headers["Content-Range"]) == (206, body, answer)


def test_conditions_hold_or_refuse(store: oss2.Bucket) -> None:
    etag = store.put_object("k", b"hello").etag
    past, future = "Thu, 01 Jan 2015 00:00:00 GMT", "Thu, 01 Jan 2037 00:00:00 GMT"
    for name, good, bad, status in (
        ("If-Match", f'"{etag}"', '"0"', 412),
        ("If-None-Match", '"0"', f'"{etag}"', 304),
        ("If-Modified-Since", past, future, 304),
        ("If-Unmodified-Since", future, past, 412),
    ):
        assert store.get_object("k", headers={name: good}).read() == b"hello"
        assert refusal_status(store, {name: bad}) == status


def refusal_status(store: oss2.Bucket, headers: dict[str, str]) -> int:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        store.get_object("k", headers=headers)
    return int(caught.value.status)


def test_what_is_deleted_is_gone(store: oss2.Bucket) -> None:
    store.put_object(KEY, b"hello")
    for _ in range(2):
        assert store.delete_object(KEY).status == 204
        with pytest.raises(oss2.exceptions.NoSuchKey):
            store.get_object(KEY)
        assert not store.object_exists(KEY)
    store.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        store.get_object(KEY)


def test_a_bucket_with_an_object_is_not_deleted(store: oss2.Bucket) -> None:
    store.put_object("k", b"")
    with pytest.raises(oss2.exceptions.BucketNotEmpty):
        store.delete_bucket()


def test_listings_agree(store: oss2.Bucket) -> None:
    for key in ("录", "b", "a/2", "a/1", "a-", "é"):
        store.put_object(key, b"")
    assert listing(store) == (["a-", "a/1", "a/2", "b", "é", "录"], [], False)
    assert listing(store, prefix="a/") == (["a/1", "a/2"], [], False)
    assert listing(store, delimiter="/") == (["a-", "b", "é", "录"], ["a/"], False)
    assert listing(store, max_keys="2") == (["a-", "a/1"], [], True)
    assert listing(store, marker="a/2") == (["b", "é", "录"], [], False)
    assert listing(store, list_type="2", start_after="b") == (["é", "录"], [], False)


def test_what_is_not_there_has_a_code(store: oss2.Bucket) -> None:
    with pytest.raises(oss2.exceptions.NoSuchKey) as caught:
        store.get_object("none")
    assert (caught.value.status, caught.value.code) == (404, "NoSuchKey")
