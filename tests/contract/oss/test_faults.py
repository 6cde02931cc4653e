"""Faults on demand, and the counters that say what really happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import oss2
import pytest
import requests
from oss2.models import BucketVersioningConfig, PartInfo, Tagging

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


Call = Callable[[oss2.Bucket], Any]


class Scene:
    """A bucket with an upload under way, and one call of every operation on it."""

    def __init__(self, bucket: oss2.Bucket) -> None:
        bucket.put_object("k", b"hello")
        bucket.append_object("j", 0, b"a")
        self.upload = bucket.init_multipart_upload("m").upload_id
        self.part = PartInfo(1, bucket.upload_part("m", self.upload, 1, b"part").etag)
        self.other = bucket.init_multipart_upload("n").upload_id

    def calls(self) -> dict[str, tuple[Call, Call | None]]:
        """Of each operation the call, and what tells that it took effect (None: it only reads)."""
        return {
            "PutObject": (lambda b: b.put_object("new", b"x"), lambda b: b.object_exists("new")),
            "AppendObject": (lambda b: b.append_object("j", 1, b"b"), lambda b: b.head_object("j").content_length == 2),
            "CopyObject": (lambda b: b.copy_object(BUCKET, "k", "c"), lambda b: b.object_exists("c")),
            "GetObject": (lambda b: b.get_object("k").read(), None),
            "HeadObject": (lambda b: b.head_object("k"), None),
            "GetObjectMeta": (lambda b: b.get_object_meta("k"), None),
            "ListObjects": (lambda b: b.list_objects(), None),
            "ListObjectsV2": (lambda b: b.list_objects_v2(), None),
            "ListObjectVersions": (lambda b: b.list_object_versions(), None),
            "ListMultipartUploads": (lambda b: b.list_multipart_uploads(), None),
            "ListParts": (lambda b: b.list_parts("m", self.upload), None),
            "GetBucketInfo": (lambda b: b.get_bucket_info(), None),
            "InitiateMultipartUpload": (
                lambda b: b.init_multipart_upload("o"),
                lambda b: "o" in [one.key for one in b.list_multipart_uploads().upload_list],
            ),
            "UploadPart": (
                lambda b: b.upload_part("m", self.upload, 2, b"x"),
                lambda b: len(b.list_parts("m", self.upload).parts) == 2,
            ),
            "UploadPartCopy": (
                lambda b: b.upload_part_copy(BUCKET, "k", (None, None), "n", self.other, 1),
                lambda b: len(b.list_parts("n", self.other).parts) == 1,
            ),
            "CompleteMultipartUpload": (
                lambda b: b.complete_multipart_upload("m", self.upload, [self.part]),
                lambda b: b.object_exists("m"),
            ),
            "AbortMultipartUpload": (
                lambda b: b.abort_multipart_upload("n", self.other),
                lambda b: "n" not in [one.key for one in b.list_multipart_uploads().upload_list],
            ),
            "GetObjectTagging": (lambda b: b.get_object_tagging("k"), None),
            "PutBucketVersioning": (
                lambda b: b.put_bucket_versioning(BucketVersioningConfig("Suspended")),
                lambda b: b.get_bucket_versioning().status == "Suspended",
            ),
            "PutObjectTagging": (lambda b: b.put_object_tagging("k", Tagging()), None),
            "DeleteMultipleObjects": (lambda b: b.batch_delete_objects(["j"]), lambda b: not b.object_exists("j")),
            "DeleteObject": (lambda b: b.delete_object("k"), lambda b: not b.object_exists("k")),
        }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["error", "drop"])
def test_every_operation_fails_before_or_after_its_effect(
    server: Server, bucket: oss2.Bucket, when: str, action: str
) -> None:
    for name, (call, happened) in Scene(bucket).calls().items():
        server.faults.arm(operation=f"oss.{name}", when=when, action=action, status=500)
        with pytest.raises(oss2.exceptions.OssError) as caught:
            call(bucket)
        if action == "error":
            assert caught.value.status == 500, name
        else:
            assert isinstance(caught.value, oss2.exceptions.RequestError), name
        if happened is not None:
            assert happened(bucket) == (when == "after"), name
        server.faults.disarm()


def test_every_operation_can_be_slow(server: Server, bucket: oss2.Bucket) -> None:
    calls = Scene(bucket).calls()
    fault = server.faults.arm(operation="oss.*", action="delay", seconds=0.001, times=1000)
    for call, _ in calls.values():
        call(bucket)
    assert fault.struck == len(calls)


def test_data_calls_are_refused_on_the_public_endpoint(server: Server, bucket: oss2.Bucket) -> None:
    """help.aliyun.com/en/oss/user-guide/regions-and-endpoints: accounts new since 2025-03-20, presigned URLs too."""
    bucket.put_object("k", b"hello")
    url = bucket.sign_url("GET", "k", 60)
    server.faults.arm(operation="oss.*", action="public_endpoint_forbidden", times=10**9, value="localhost")
    public = server.bucket(endpoint=server.endpoint.replace("127.0.0.1", "localhost"))
    for call in (
        lambda: public.put_object("k", b"x"),
        lambda: public.get_object("k"),
        lambda: public.append_object("j", 0, b"x"),
        lambda: public.delete_object("k"),
        lambda: public.init_multipart_upload("k"),
    ):
        with pytest.raises(oss2.exceptions.ServerError) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (400, "PublicEndpointForbidden")
    response = requests.get(public.sign_url("GET", "k", 60), timeout=10)
    assert response.status_code == 400
    assert "<Code>PublicEndpointForbidden</Code>" in response.text
    assert requests.get(url, timeout=10).content == b"hello"  # the internal endpoint
    assert bucket.get_object("k").read() == b"hello"
    assert public.get_bucket_info().name == BUCKET  # no data call
    server.faults.disarm()
    assert public.get_object("k").read() == b"hello"


def test_one_operation_may_be_refused_so_too(server: Server, bucket: oss2.Bucket) -> None:
    server.faults.arm(operation="oss.PutObject", code="PublicEndpointForbidden")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.put_object("k", b"x")
    assert (caught.value.status, caught.value.code) == (400, "PublicEndpointForbidden")
