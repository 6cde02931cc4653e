"""What is not served answers 501: an unknown sub-resource is never taken for a plain put, get or delete."""

from __future__ import annotations

from typing import Any

import oss2
import pytest

from .conftest import BUCKET, Server

BODY = b"must stay"
TRANSITION = (
    b"<LifecycleConfiguration><Rule><Prefix>a</Prefix><Status>Enabled</Status>"
    b"<Transition><Days>1</Days><StorageClass>IA</StorageClass></Transition></Rule></LifecycleConfiguration>"
)

CALLS: dict[str, Any] = {
    "put acl": lambda b: b.put_object_acl("k", oss2.OBJECT_ACL_PUBLIC_READ),
    "get acl": lambda b: b.get_object_acl("k"),
    "symlink": lambda b: b.put_symlink("other", "k"),
    "get symlink": lambda b: b.get_symlink("k"),
    "restore": lambda b: b.restore_object("k"),
    "select": lambda b: b.select_object("k", "select * from ossobject"),
    "process": lambda b: b.process_object("k", "image/resize,w_1"),
    "get processed": lambda b: b.get_object("k", process="image/resize,w_1"),
    "put bucket acl": lambda b: b.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ),
    "transition": lambda b: b._do("PUT", BUCKET, "", params={"lifecycle": ""}, data=TRANSITION),
    "copied process": lambda b: b._do("PUT", BUCKET, "k", headers={"x-oss-copy-source": "/b/k?x-oss-process=a"}),
    "appended version": lambda b: b._do("POST", BUCKET, "j", params={"append": "", "position": "0", "versionId": "1"}),
    "encrypted upload": lambda b: b.init_multipart_upload("k", headers={"x-oss-server-side-encryption": "AES256"}),
    "get stat": lambda b: b.get_bucket_stat(),
    "get policy": lambda b: b.get_bucket_policy(),
    "put website": lambda b: b.put_bucket_website(oss2.models.BucketWebsite("i.html", "e.html")),
    "unknown sub-resource": lambda b: b.put_object("k", b"x", headers={}) if False else b._do(
        "PUT", BUCKET, "k", data=b"x", params={"somethingNew": ""}
    ),
    "public object": lambda b: b.put_object("k", b"x", headers={"x-oss-object-acl": "public-read"}),
    "archived object": lambda b: b.put_object("k", b"x", headers={"x-oss-storage-class": "Archive"}),
    "encrypted object": lambda b: b.put_object("k", b"x", headers={"x-oss-server-side-encryption": "AES256"}),
    "callback": lambda b: b.put_object("k", b"x", headers={"x-oss-callback": "e30="}),
    "slowed download": lambda b: b.get_object("k", headers={"x-oss-traffic-limit": "819200"}),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_not_served_is_refused_and_changes_nothing(server: Server, bucket: oss2.Bucket, call: Any) -> None:
    bucket.put_object("k", BODY)
    server.events.clear()
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        call(bucket)
    assert (caught.value.status, caught.value.code) == (501, "NotImplemented")
    assert [found.key for found in oss2.ObjectIterator(bucket)] == ["k"]
    assert bucket.get_object("k").read() == BODY
    assert bucket.get_bucket_info().name == BUCKET
    assert server.events == []


def test_a_cache_buster_is_ignored_as_oss_does(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY)
    assert bucket.get_object("k", params={"v": "2"}).read() == BODY


@pytest.mark.parametrize("method", ["PATCH", "TRACE"])
def test_other_methods_are_not_allowed(bucket: oss2.Bucket, method: str) -> None:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket._do(method, BUCKET, "k")
    assert (caught.value.status, caught.value.code) == (405, "MethodNotAllowed")
