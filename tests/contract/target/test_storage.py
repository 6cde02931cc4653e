"""The rules of OSS that this project rests on, through oss2. Sources: help.aliyun.com OSS pages, named by test."""

from __future__ import annotations

import calendar
import threading
import time
from collections.abc import Callable
from email.utils import parsedate
from typing import Any

import oss2
import pytest
import requests

pytestmark = pytest.mark.portable
RACERS = 4


def race(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Results or server errors of `count` calls let go at once."""
    gate, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        gate.wait(10)
        try:
            results[number] = act(number)
        except oss2.exceptions.ServerError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.parametrize("round_number", range(3))
def test_of_racing_appends_at_one_position_one_wins(bucket: Any, prefix: str, round_number: int) -> None:
    """AppendObject: "409 PositionNotEqualToLength"."""
    key = prefix + "journal"
    bucket.append_object(key, 0, b"start\n")
    results = race(RACERS, lambda number: bucket.append_object(key, 6, b"%d\n" % number))
    refused = [one for one in results if isinstance(one, oss2.exceptions.ServerError)]
    assert [(one.status, one.code) for one in refused] == [(409, "PositionNotEqualToLength")] * (RACERS - 1)
    (winner,) = [number for number, one in enumerate(results) if one not in refused]
    assert results[winner].next_position == 8
    assert bucket.get_object(key).read() == b"start\n%d\n" % winner


@pytest.mark.parametrize("round_number", range(3))
def test_of_racing_first_writers_one_wins(bucket: Any, prefix: str, round_number: int) -> None:
    """`x-oss-forbid-overwrite: true`: "409 FileAlreadyExists"."""
    headers = {"x-oss-forbid-overwrite": "true"}
    results = race(RACERS, lambda number: bucket.put_object(prefix + "one", b"%d" % number, headers=headers))
    refused = [one for one in results if isinstance(one, oss2.exceptions.ServerError)]
    assert {(one.status, one.code) for one in refused} == {(409, "FileAlreadyExists")}
    (winner,) = [number for number, one in enumerate(results) if one not in refused]
    assert bucket.get_object(prefix + "one").read() == b"%d" % winner


def test_a_later_writer_is_refused_too(bucket: Any, prefix: str) -> None:
    bucket.put_object(prefix + "one", b"first")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.put_object(prefix + "one", b"second", headers={"x-oss-forbid-overwrite": "true"})
    assert (caught.value.status, caught.value.code) == (409, "FileAlreadyExists")


def test_every_answer_has_the_servers_date(bucket: Any, prefix: str) -> None:
    """Claims are judged by it. RFC 9110, in GMT, whole seconds."""
    answers = [bucket.put_object(prefix + "one", b"1"), bucket.get_object(prefix + "one")]
    with pytest.raises(oss2.exceptions.NoSuchKey) as missing:
        bucket.get_object(prefix + "none")
    for headers in (*(answer.headers for answer in answers), missing.value.headers):
        said = parsedate(headers["Date"])
        assert said is not None
        assert abs(calendar.timegm(said) - time.time()) < 15 * 60, "beyond this OSS refuses the signature itself"


@pytest.mark.parametrize(("start", "status", "data"), [(0, 206, b"0123456789"), (9, 206, b"9")])
def test_a_range_inside_is_partial(bucket: Any, prefix: str, start: int, status: int, data: bytes) -> None:
    bucket.put_object(prefix + "one", b"0123456789")
    answer = bucket.get_object(prefix + "one", byte_range=(start, None), headers={"x-oss-range-behavior": "standard"})
    assert (answer.status, answer.read()) == (status, data)


def test_a_standard_range_at_the_end_is_416_and_otherwise_the_whole_object(bucket: Any, prefix: str) -> None:
    """GetObject: `x-oss-range-behavior: standard`; without it a range outside gives 200 and everything."""
    bucket.put_object(prefix + "one", b"0123456789")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.get_object(prefix + "one", byte_range=(10, None), headers={"x-oss-range-behavior": "standard"})
    assert (caught.value.status, caught.value.code) == (416, "InvalidRange")
    answer = bucket.get_object(prefix + "one", byte_range=(10, None))
    assert (answer.status, answer.read()) == (200, b"0123456789")


def test_a_presigned_v4_url_serves_its_method_alone(bucket: Any, prefix: str) -> None:
    key = prefix + "录音 1+%2F.wav"
    bucket.put_object(key, b"audio", headers={"Content-Type": "audio/wav"})
    url = bucket.sign_url("GET", key, 300, slash_safe=True)
    answer = requests.get(url, timeout=20)
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, b"audio", "audio/wav")
    assert requests.head(url, timeout=20).status_code == 403
    assert requests.get(url.replace("isi-contract", "isi-contracts"), timeout=20).status_code == 403


def test_keys_come_back_as_they_went(bucket: Any, prefix: str) -> None:
    keys = {prefix + name for name in ("中文", "a b", "a+b", "a%20b", "a&b=c", "a#b", "a/b")}
    for key in keys:
        bucket.put_object(key, key.encode())
    assert {found.key for found in oss2.ObjectIteratorV2(bucket, prefix=prefix)} == keys
    assert all(bucket.get_object(key).read() == key.encode() for key in keys)
