"""Faults on demand, and the counters that say what really happened."""

from __future__ import annotations

import oss2
import pytest

from .conftest import BUCKET, Server


def test_calls_are_counted_by_operation(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"")
    bucket.append_object("j", 0, b"")
    bucket.head_object("k")
    bucket.get_object("k").read()
    bucket.list_objects_v2()
    bucket.delete_object("k")
    names = ("PutObject", "AppendObject", "HeadObject", "GetObject", "ListObjectsV2", "DeleteObject")
    assert server.faults.counters() == {f"oss.{name}": 1 for name in names}


def test_an_error_before_has_no_effect(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.PutObject", action="error", status=503)
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.put_object("k", b"hello" * 100_000)
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert not bucket.object_exists("k")
    assert server.events == []
    bucket.put_object("k", b"hello")


def test_a_dropped_answer_leaves_the_effect(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.AppendObject", when="after", action="drop")
    with pytest.raises(oss2.exceptions.RequestError):
        bucket.append_object("j", 0, b"hello")
    assert bucket.get_object("j").read() == b"hello"
    assert len(server.events) == 1


def test_a_dropped_request_has_no_effect(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.AppendObject", when="before", action="drop")
    with pytest.raises(oss2.exceptions.RequestError):
        bucket.append_object("j", 0, b"hello")
    assert not bucket.object_exists("j")


def test_an_error_after_leaves_the_effect(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.PutObject", when="after", action="error", code="InternalError")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.put_object("k", b"hello")
    assert (caught.value.status, caught.value.code) == (500, "InternalError")
    assert bucket.get_object("k").read() == b"hello"


def test_an_error_after_a_large_read_leaks_nothing(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"x" * 3_000_000)
    server.faults.arm(operation="oss.GetObject", when="after", action="error", code="AccessDenied")
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("k")
    assert len(bucket.get_object("k").read()) == 3_000_000


def test_a_fault_is_aimed_by_bucket_and_key(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.PutObject", subject=f"{BUCKET}/录音", code="AccessDenied", times=99)
    bucket.put_object("k", b"")
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.put_object("录音/1", b"")


def test_a_delayed_call_still_happens(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.PutObject", action="delay", seconds=0.05)
    bucket.put_object("k", b"hello")
    assert bucket.get_object("k").read() == b"hello"
