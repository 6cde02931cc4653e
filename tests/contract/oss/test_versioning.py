"""Versions, delete markers, and what versioning does to conditional writes.

help.aliyun.com/en/oss/user-guide/manage-objects-in-a-versioning-enabled-bucket, .../manage-objects-in-a-versioning-
suspended-bucket, .../delete-marker, .../0016-00000504 (append), and developer-reference/putobject (forbid-overwrite).
"""

from __future__ import annotations

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
from oss2.models import BatchDeleteObjectVersion, BatchDeleteObjectVersionList, BucketVersioningConfig

from .conftest import BUCKET, Server
from .test_objects import refusal
from .test_tagging import tagging, tags_of

FORBID = {"x-oss-forbid-overwrite": "true"}


def set_versioning(bucket: oss2.Bucket, status: str) -> None:
    bucket.put_bucket_versioning(BucketVersioningConfig(status))


@pytest.fixture
def versioned(bucket: oss2.Bucket) -> oss2.Bucket:
    set_versioning(bucket, "Enabled")
    return bucket


def at(version_id: str) -> dict[str, dict[str, str]]:
    return {"params": {"versionId": version_id}}


def listed(bucket: oss2.Bucket) -> list[tuple[str, str, bool, bool]]:
    """(key, version id, is latest, is marker) of everything, in the order of SDK's two lists."""
    page = bucket.list_object_versions()
    return [
        (one.key, one.versionid, one.is_latest, marker)
        for marker, items in ((False, page.versions), (True, page.delete_marker))
        for one in items
    ]


def test_a_buckets_status_is_set_and_told(server: Server, bucket: oss2.Bucket) -> None:
    assert bucket.get_bucket_versioning().status is None
    assert "x-oss-version-id" not in bucket.put_object("k", b"").headers
    for status in ("Enabled", "Suspended"):
        set_versioning(bucket, status)
        assert bucket.get_bucket_versioning().status == status
        request = oss_v2.GetBucketVersioningRequest(bucket=BUCKET)
        assert server.client_v2().get_bucket_versioning(request).version_status == status
        assert bucket.get_bucket_info().versioning_status == status
    assert refusal(set_versioning, bucket, "Off") == (400, "MalformedXML")


def test_every_write_makes_a_version(versioned: oss2.Bucket) -> None:
    ids = [versioned.put_object("k", str(number).encode()).versionid for number in range(3)]
    assert len(set(ids)) == 3
    assert versioned.get_object("k").read() == b"2"
    for number, version_id in enumerate(ids):
        found = versioned.get_object("k", **at(version_id))
        assert (found.read(), found.headers["x-oss-version-id"]) == (str(number).encode(), version_id)
        assert versioned.head_object("k", **at(version_id)).content_length == 1
        assert versioned.get_object_meta("k", **at(version_id)).headers["x-oss-version-id"] == version_id
    expected = [("k", version_id, version_id == ids[2], False) for version_id in reversed(ids)]
    assert listed(versioned) == expected
    assert [found.key for found in oss2.ObjectIterator(versioned)] == ["k"]
    assert refusal(versioned.get_object, "k", **at("none")) == (404, "NoSuchVersion")
    assert refusal(versioned.delete_bucket) == (409, "BucketNotEmpty")


def test_what_was_there_before_is_the_null_version(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"before")
    set_versioning(bucket, "Enabled")
    new = bucket.put_object("k", b"after").versionid
    assert bucket.get_object("k", **at("null")).read() == b"before"
    assert listed(bucket) == [("k", new, True, False), ("k", "null", False, False)]


def test_a_delete_puts_a_marker_on_top(versioned: oss2.Bucket) -> None:
    kept = versioned.put_object("k", b"kept").versionid
    deleted = versioned.delete_object("k")
    marker = deleted.headers["x-oss-version-id"]
    assert (deleted.status, deleted.headers["x-oss-delete-marker"]) == (204, "true")
    with pytest.raises(oss2.exceptions.NoSuchKey) as caught:
        versioned.get_object("k")
    assert caught.value.headers["x-oss-delete-marker"] == "true"
    assert caught.value.headers["x-oss-version-id"] == marker
    assert refusal(versioned.get_object, "k", **at(marker)) == (405, "MethodNotAllowed")
    assert versioned.get_object("k", **at(kept)).read() == b"kept"
    assert list(oss2.ObjectIterator(versioned)) == []
    again = versioned.delete_object("k").headers["x-oss-version-id"]
    assert listed(versioned) == [("k", kept, False, False), ("k", again, True, True), ("k", marker, False, True)]
    for version_id in (again, marker):
        removed = versioned.delete_object("k", **at(version_id))
        assert removed.headers["x-oss-delete-marker"] == "true"
    assert versioned.get_object("k").read() == b"kept"


def test_a_version_is_deleted_for_good(server: Server, versioned: oss2.Bucket) -> None:
    old, new = (versioned.put_object("k", body).versionid for body in (b"old", b"new"))
    versioned.delete_object("k", **at(new))
    assert versioned.get_object("k").read() == b"old"
    versioned.delete_object("k", **at("unknown"))
    versioned.delete_object("k", **at(old))
    assert listed(versioned) == []
    assert not [path for path in (server.root / "blobs").rglob("*") if path.is_file()]
    versioned.delete_bucket()


def test_a_suspended_bucket_keeps_one_null_version(server: Server, versioned: oss2.Bucket) -> None:
    first = versioned.put_object("k", b"first").versionid
    set_versioning(versioned, "Suspended")
    assert versioned.put_object("k", b"one").versionid == "null"
    assert versioned.put_object("k", b"two").versionid == "null"
    assert listed(versioned) == [("k", "null", True, False), ("k", first, False, False)]
    assert versioned.delete_object("k").headers["x-oss-version-id"] == "null"
    assert listed(versioned) == [("k", first, False, False), ("k", "null", True, True)]
    assert versioned.put_object("k", b"three").versionid == "null"
    assert listed(versioned) == [("k", "null", True, False), ("k", first, False, False)]
    sizes = sorted(path.stat().st_size for path in (server.root / "blobs").rglob("*") if path.is_file())
    assert sizes == [5, 5]


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_forbidding_to_overwrite_has_no_effect_under_versioning(bucket: oss2.Bucket, status: str) -> None:
    bucket.put_object("k", b"first")
    assert refusal(bucket.put_object, "k", b"x", headers=FORBID) == (409, "FileAlreadyExists")
    set_versioning(bucket, status)
    bucket.put_object("k", b"second", headers=FORBID)
    bucket.copy_object(BUCKET, "k", "k2", headers=FORBID)
    bucket.copy_object(BUCKET, "k", "k2", headers=FORBID)
    upload_id = bucket.init_multipart_upload("k", headers=FORBID).upload_id
    part = oss2.models.PartInfo(1, bucket.upload_part("k", upload_id, 1, b"third").etag)
    bucket.complete_multipart_upload("k", upload_id, [part], headers=FORBID)
    assert bucket.get_object("k").read() == b"third"


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_the_position_of_an_append_is_still_checked(bucket: oss2.Bucket, status: str) -> None:
    set_versioning(bucket, status)
    first = bucket.append_object("j", 0, b"abc")
    assert refusal(bucket.append_object, "j", 0, b"x") == (409, "PositionNotEqualToLength")
    second = bucket.append_object("j", 3, b"de")
    assert first.headers["x-oss-version-id"] == second.headers["x-oss-version-id"]
    assert [one[0] for one in listed(bucket)] == ["j"]
    bucket.delete_object("j")
    assert refusal(bucket.append_object, "j", 0, b"x") == (409, "ObjectNotAppendable")
    bucket.put_object("k", b"normal")
    assert refusal(bucket.append_object, "k", 6, b"x") == (409, "ObjectNotAppendable")


def test_an_append_takes_no_version(versioned: oss2.Bucket) -> None:
    params = {"append": "", "position": "0", "versionId": "1"}
    assert refusal(versioned._do, "POST", BUCKET, "j", params=params)[0] == 501


def test_an_old_version_is_copied_and_tagged(versioned: oss2.Bucket) -> None:
    old = versioned.put_object("k +键", b"old").versionid
    versioned.put_object("k +键", b"new")
    copied = versioned.copy_object(BUCKET, "k +键", "c", **at(old))
    assert copied.headers["x-oss-copy-source-version-id"] == old
    assert versioned.get_object("c").read() == b"old"
    versioned.put_object_tagging("k +键", tagging({"a": "1"}), **at(old))
    assert tags_of(versioned, "k +键", **at(old)) == {"a": "1"}
    assert tags_of(versioned, "k +键") == {}
    assert versioned.get_object("k +键").read() == b"new"


def test_a_batch_deletes_versions_and_markers(server: Server, versioned: oss2.Bucket) -> None:
    old, new = (versioned.put_object("k", body).versionid for body in (b"old", b"new"))
    versioned.put_object("m", b"")
    items = BatchDeleteObjectVersionList([BatchDeleteObjectVersion("k", old), BatchDeleteObjectVersion("k", new)])
    assert len(versioned.delete_object_versions(items).delete_versions) == 2
    objects = [oss_v2.DeleteObject(key="m")]
    request = oss_v2.DeleteMultipleObjectsRequest(bucket=BUCKET, objects=objects)
    (deleted,) = server.client_v2().delete_multiple_objects(request).deleted_objects
    assert (deleted.key, deleted.delete_marker) == ("m", True)
    assert ("m", deleted.delete_marker_version_id, True, True) in listed(versioned)


def test_versions_are_listed_in_pages(server: Server, versioned: oss2.Bucket) -> None:
    ids = {(key, versioned.put_object(key, b"").versionid) for key in ("a/1", "a/2", "b +键") for _ in range(3)}
    versioned.delete_object("a/2")
    found, markers, more, key_marker, id_marker = [], [], True, "", ""
    while more:
        page = versioned.list_object_versions(key_marker=key_marker, versionid_marker=id_marker, max_keys=2)
        found += [(one.key, one.versionid) for one in page.versions]
        markers += [one.key for one in page.delete_marker]
        more, key_marker, id_marker = page.is_truncated, page.next_key_marker, page.next_versionid_marker
    assert (len(found), set(found), markers) == (9, ids, ["a/2"])
    page = versioned.list_object_versions(delimiter="/")
    assert ({one.key for one in page.versions}, page.common_prefix) == ({"b +键"}, ["a/"])
    listing = server.client_v2().list_object_versions(oss_v2.ListObjectVersionsRequest(bucket=BUCKET, prefix="a/"))
    assert [one.key for one in listing.version] == ["a/1"] * 3 + ["a/2"] * 3


def test_a_delete_of_what_never_was_puts_a_marker_too(versioned: oss2.Bucket) -> None:
    versioned.delete_object("never")
    assert [(key, marker) for key, _, _, marker in listed(versioned)] == [("never", True)]


def test_an_expiry_is_not_repeated_on_a_marker(server: Server, versioned: oss2.Bucket) -> None:
    versioned.delete_object("k")
    expiration = oss2.models.LifecycleExpiration(days=1)
    versioned.put_bucket_lifecycle(
        oss2.models.BucketLifecycle([oss2.models.LifecycleRule("r", "", expiration=expiration)])
    )
    server.clock.move(5 * 86_400)
    assert len(listed(versioned)) == 1
