"""What is not served answers 501: an unknown sub-resource is never taken for a plain put, get or delete."""

from __future__ import annotations

from typing import Any

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
import requests

from .conftest import BUCKET, Server

BODY = b"must stay"

CALLS: dict[str, Any] = {
    "put acl": lambda b: b.put_object_acl("k", oss2.OBJECT_ACL_PUBLIC_READ),
    "get acl": lambda b: b.get_object_acl("k"),
    "put tagging": lambda b: b.put_object_tagging("k", oss2.models.Tagging()),
    "get tagging": lambda b: b.get_object_tagging("k"),
    "delete tagging": lambda b: b.delete_object_tagging("k"),
    "symlink": lambda b: b.put_symlink("other", "k"),
    "get symlink": lambda b: b.get_symlink("k"),
    "restore": lambda b: b.restore_object("k"),
    "multipart": lambda b: b.init_multipart_upload("k"),
    "upload part": lambda b: b.upload_part("k", "id", 1, b"x"),
    "complete": lambda b: b.complete_multipart_upload("k", "id", []),
    "abort": lambda b: b.abort_multipart_upload("k", "id"),
    "list parts": lambda b: b.list_parts("k", "id"),
    "list uploads": lambda b: b.list_multipart_uploads(),
    "select": lambda b: b.select_object("k", "select * from ossobject"),
    "process": lambda b: b.process_object("k", "image/resize,w_1"),
    "get processed": lambda b: b.get_object("k", process="image/resize,w_1"),
    "get version": lambda b: b.get_object("k", params={"versionId": "1"}),
    "delete version": lambda b: b.delete_object("k", params={"versionId": "1"}),
    "versions": lambda b: b.list_object_versions(),
    "put versioning": lambda b: b.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled")),
    "put lifecycle": lambda b: b.put_bucket_lifecycle(oss2.models.BucketLifecycle([])),
    "get lifecycle": lambda b: b.get_bucket_lifecycle(),
    "delete lifecycle": lambda b: b.delete_bucket_lifecycle(),
    "put bucket acl": lambda b: b.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ),
    "put cors": lambda b: b.put_bucket_cors(oss2.models.BucketCors([])),
    "delete cors": lambda b: b.delete_bucket_cors(),
    "get stat": lambda b: b.get_bucket_stat(),
    "get policy": lambda b: b.get_bucket_policy(),
    "put website": lambda b: b.put_bucket_website(oss2.models.BucketWebsite("i.html", "e.html")),
    "unknown sub-resource": lambda b: b.put_object("k", b"x", headers={}) if False else b._do(
        "PUT", BUCKET, "k", data=b"x", params={"somethingNew": ""}
    ),
    "public object": lambda b: b.put_object("k", b"x", headers={"x-oss-object-acl": "public-read"}),
    "archived object": lambda b: b.put_object("k", b"x", headers={"x-oss-storage-class": "Archive"}),
    "tagged object": lambda b: b.put_object("k", b"x", headers={"x-oss-tagging": "a=b"}),
    "encrypted object": lambda b: b.put_object("k", b"x", headers={"x-oss-server-side-encryption": "AES256"}),
    "callback": lambda b: b.put_object("k", b"x", headers={"x-oss-callback": "e30="}),
    "slowed download": lambda b: b.get_object("k", headers={"x-oss-traffic-limit": "819200"}),
    "copied version": lambda b: b._do("PUT", BUCKET, "k", headers={"x-oss-copy-source": f"/{BUCKET}/k?versionId=1"}),
    "copied tags": lambda b: b.copy_object(BUCKET, "k", "c", headers={"x-oss-tagging-directive": "Copy"}),
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


def test_a_form_upload_is_refused(server: Server) -> None:
    response = requests.post(f"{server.endpoint}/{BUCKET}/", files={"key": "k", "file": b"x"}, timeout=10)
    assert response.status_code in (403, 501)


def test_versions_of_a_batch_delete_are_refused(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY)
    request = oss_v2.DeleteMultipleObjectsRequest(
        bucket=BUCKET, objects=[oss_v2.DeleteObject(key="k", version_id="v1")]
    )
    with pytest.raises(oss_v2.exceptions.OperationError) as caught:
        server.client_v2().delete_multiple_objects(request)
    assert caught.value.unwrap().status_code == 501
    assert bucket.object_exists("k")


def test_a_cache_buster_is_ignored_as_oss_does(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY)
    assert bucket.get_object("k", params={"v": "2"}).read() == BODY


@pytest.mark.parametrize("method", ["PATCH", "TRACE"])
def test_other_methods_are_not_allowed(bucket: oss2.Bucket, method: str) -> None:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket._do(method, BUCKET, "k")
    assert (caught.value.status, caught.value.code) == (405, "MethodNotAllowed")
