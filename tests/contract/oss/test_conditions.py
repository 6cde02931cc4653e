"""Ranges and conditional reads, with OSS's own view of a range that does not fit."""

from __future__ import annotations

import email.utils

import oss2
import pytest

from .conftest import Server

SIZE = 1000
BODY = bytes(number % 251 for number in range(SIZE))

# help.aliyun.com/en/oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests: 1000 bytes, valid 0-999
RANGES = [
    ("bytes=0-499", (0, 499), (0, 499)),
    ("bytes=500-999", (500, 999), (500, 999)),
    ("bytes=-500", (500, 999), (500, 999)),
    ("bytes=500-", (500, 999), (500, 999)),
    ("bytes=0-", (0, 999), (0, 999)),
    ("bytes=0-99,200-299", (0, 99), (0, 99)),
    ("bytes=500-2000", None, (500, 999)),
    ("bytes=0-1000", None, (0, 999)),
    ("bytes=-2000", None, (0, 999)),
    ("bytes=1000-2000", None, 416),
    ("bytes=1000-", None, 416),
    ("bytes=-0", None, 416),
    ("byte=0-499", None, None),
    ("bytes=5-2", None, None),
    ("bytes=-", None, None),
    ("bytes=a-b", None, None),
]


@pytest.mark.parametrize(("text", "expected", "_standard"), RANGES)
def test_a_range_outside_the_object_returns_all_of_it(bucket: oss2.Bucket, text, expected, _standard) -> None:
    bucket.put_object("k", BODY)
    check(bucket.get_object("k", headers={"Range": text}), expected)


@pytest.mark.parametrize(("text", "_default", "expected"), RANGES)
def test_standard_behaviour_clips_or_refuses(bucket: oss2.Bucket, text, _default, expected) -> None:
    bucket.put_object("k", BODY)
    headers = {"Range": text, "x-oss-range-behavior": "standard"}
    if expected == 416:
        with pytest.raises(oss2.exceptions.ServerError) as caught:
            bucket.get_object("k", headers=headers)
        assert (caught.value.status, caught.value.code) == (416, "InvalidRange")
    else:
        check(bucket.get_object("k", headers=headers), expected)


def check(found: oss2.models.GetObjectResult, expected: tuple[int, int] | None) -> None:
    if expected is None:
        assert (found.status, found.read()) == (200, BODY)
        assert "Content-Range" not in found.headers
    else:
        first, last = expected
        assert (found.status, found.read()) == (206, BODY[first : last + 1])
        assert found.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        assert found.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Match", "etag", 200),
        ("If-Match", '"etag"', 200),
        ("If-Match", "0" * 32, 412),
        ("If-None-Match", "etag", 304),
        ("If-None-Match", '"etag"', 304),
        ("If-None-Match", "0" * 32, 200),
        ("If-Modified-Since", -10, 200),
        ("If-Modified-Since", 0, 304),
        ("If-Modified-Since", 10, 304),
        ("If-Unmodified-Since", -10, 412),
        ("If-Unmodified-Since", 0, 200),
        ("If-Unmodified-Since", 10, 200),
        ("If-Modified-Since", "not a date", 200),
    ],
)
@pytest.mark.parametrize("method", ["get_object", "head_object"])
def test_conditions_hold_or_refuse(
    server: Server, bucket: oss2.Bucket, method: str, name: str, value: str | int, status: int
) -> None:
    bucket.put_object("k", BODY)
    head = bucket.head_object("k")
    text = value.replace("etag", head.etag) if isinstance(value, str) else ""
    if isinstance(value, int):
        text = email.utils.formatdate(head.last_modified + value, usegmt=True)
    call = getattr(bucket, method)
    if status == 200:
        assert call("k", headers={name: text}).status == 200
        return
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        call("k", headers={name: text})
    assert caught.value.status == status
    if status == 304:
        assert caught.value.headers["ETag"] == f'"{head.etag}"'
        assert not caught.value.body
    else:
        assert caught.value.code == "PreconditionFailed"


def test_an_override_can_not_smuggle_a_header_in(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY)
    with pytest.raises(oss2.exceptions.InvalidArgument):
        bucket.get_object("k", params={"response-content-type": "a/b\r\nSet-Cookie: c=d"})


def test_a_signed_request_may_override_the_answers_headers(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY, headers={"Content-Type": "audio/wav"})
    overrides = {
        "response-content-type": "text/plain; charset=utf-8",
        "response-content-language": "zh-CN",
        "response-expires": "Thu, 01 Jan 2037 00:00:00 GMT",
        "response-cache-control": "no-store",
        "response-content-disposition": 'attachment; filename="a b.wav"',
    }
    found = bucket.get_object("k", params=overrides)
    for name, value in overrides.items():
        assert found.headers[name.removeprefix("response-")] == value
    assert bucket.head_object("k").content_type == "audio/wav"
