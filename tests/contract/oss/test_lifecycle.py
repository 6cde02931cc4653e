"""Lifecycle rules (help.aliyun.com/en/oss/developer-reference/putbucketlifecycle), carried out when the clock moves."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
from oss2.models import AbortMultipartUpload, BucketLifecycle, LifecycleExpiration, LifecycleRule

from localcloud import oss
from localcloud.clock import Clock
from localcloud.oss.expiry import expire as carry_out
from localcloud.oss.lifecycle import Due
from localcloud.oss.records import Attributes

from .conftest import BUCKET, Server
from .test_objects import refusal
from .test_tagging import tagging
from .test_versioning import listed, set_versioning

DAY = 86_400


def put(bucket: oss2.Bucket, *rules: LifecycleRule) -> None:
    bucket.put_bucket_lifecycle(BucketLifecycle(list(rules)))


def expire(prefix: str = "", days: int = 1, name: str = "r", **options: object) -> LifecycleRule:
    return LifecycleRule(name, prefix, expiration=LifecycleExpiration(days=days), **options)


def keys(bucket: oss2.Bucket) -> list[str]:
    return [found.key for found in oss2.ObjectIterator(bucket)]


def test_rules_are_put_read_and_removed(server: Server, bucket: oss2.Bucket) -> None:
    assert refusal(bucket.get_bucket_lifecycle) == (404, "NoSuchLifecycle")
    abort = AbortMultipartUpload(days=3)
    put(bucket, expire("in/", 2, abort_multipart_upload=abort), expire("out/", 7, "s", status="Disabled"))
    first, second = bucket.get_bucket_lifecycle().rules
    assert (first.id, first.prefix, first.status, first.expiration.days) == ("r", "in/", "Enabled", 2)
    assert (first.abort_multipart_upload.days, second.status) == (3, "Disabled")
    found = server.client_v2().get_bucket_lifecycle(oss_v2.GetBucketLifecycleRequest(bucket=BUCKET))
    assert [rule.id for rule in found.lifecycle_configuration.rules] == ["r", "s"]
    assert bucket.delete_bucket_lifecycle().status == 204
    assert refusal(bucket.get_bucket_lifecycle) == (404, "NoSuchLifecycle")


def test_an_object_goes_when_its_days_are_over(server: Server, bucket: oss2.Bucket) -> None:
    put(bucket, expire("in/", 2), expire("off/", 1, "s", status="Disabled"))
    for key in ("in/1", "off/1", "other"):
        bucket.put_object(key, b"")
    server.clock.move(2 * DAY - 10)
    assert "in/1" in keys(bucket)
    server.clock.move(DAY + 10)
    bucket.put_object("in/2", b"")
    assert keys(bucket) == ["in/2", "off/1", "other"]
    assert not bucket.object_exists("in/1")


@pytest.mark.parametrize(
    ("after_midnight", "passed", "past"), [(0, 1.0, True), (0, 0.99, False), (3600, 1.5, False), (3600, 2.0, True)]
)
def test_days_end_at_midnight(after_midnight: int, passed: float, past: bool) -> None:
    midnight = 20_000 * DAY
    assert Due(days=1).is_past(midnight + after_midnight, midnight + passed * DAY) is past


def test_a_rule_may_name_tags(server: Server, bucket: oss2.Bucket) -> None:
    put(bucket, expire(tagging=tagging({"keep": "no", "a": "b"})))
    bucket.put_object("gone", b"", headers={"x-oss-tagging": "keep=no&a=b&c=d"})
    bucket.put_object("half", b"", headers={"x-oss-tagging": "keep=no"})
    bucket.put_object("none", b"")
    server.clock.move(2 * DAY)
    assert keys(bucket) == ["half", "none"]


def test_a_date_sorts_objects_by_their_last_change(server: Server, bucket: oss2.Bucket) -> None:
    tomorrow = datetime.datetime.fromtimestamp(time.time() + DAY, datetime.UTC).date()
    put(bucket, LifecycleRule("r", "", expiration=LifecycleExpiration(created_before_date=tomorrow)))
    bucket.put_object("old", b"")
    server.clock.move(2 * DAY)
    bucket.put_object("new", b"")
    assert keys(bucket) == ["new"]


def test_an_upload_that_is_never_completed_is_aborted(server: Server, bucket: oss2.Bucket) -> None:
    put(bucket, LifecycleRule("r", "in/", abort_multipart_upload=AbortMultipartUpload(days=1)))
    ids = [bucket.init_multipart_upload(key).upload_id for key in ("in/1", "out/1")]
    bucket.upload_part("in/1", ids[0], 1, b"part")
    server.clock.move(2 * DAY)
    assert [one.key for one in oss2.MultipartUploadIterator(bucket)] == ["out/1"]
    assert not [path for path in (server.root / "blobs").rglob("*") if path.is_file()]


def test_under_versioning_expiry_leaves_a_marker_and_old_versions_go_later(server: Server, bucket: oss2.Bucket) -> None:
    set_versioning(bucket, "Enabled")
    body = (
        "<LifecycleConfiguration><Rule><ID>r</ID><Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>"
        "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration></Rule>"
        "<Rule><ID>s</ID><Prefix/><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true"
        "</ExpiredObjectDeleteMarker></Expiration></Rule></LifecycleConfiguration>"
    )
    bucket._do("PUT", BUCKET, "", params={"lifecycle": ""}, data=body).read()
    version = bucket.put_object("k", b"hello").versionid
    server.clock.move(2 * DAY)
    found = listed(bucket)
    assert found[0] == ("k", version, False, False)
    assert [one[3] for one in found] == [False, True]
    assert bucket.get_object("k", params={"versionId": version}).read() == b"hello"
    server.clock.move(4 * DAY)
    assert [one[3] for one in listed(bucket)] == [True]
    server.clock.move(DAY)
    assert listed(bucket) == []


def test_what_came_due_while_nothing_ran_is_done_at_the_start(tmp_path: Path) -> None:
    clock = Clock()
    store = oss.FileStore(tmp_path, clock)
    store.create_bucket(BUCKET)
    upload = store.spool()
    upload.write(b"x")
    store.put(BUCKET, "k", upload, Attributes("a/b"))
    rule = RULE.format("<ID>r</ID><Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>")
    store.configure(BUCKET, "lifecycle", rule)
    store.close()
    clock.move(2 * DAY)
    again = oss.FileStore(tmp_path, clock)
    assert [carry_out(again, clock.now()) for _ in range(2)] == [1, 0]
    again.close()


RULE = "<LifecycleConfiguration><Rule>{}</Rule></LifecycleConfiguration>"
HEAD = "<Prefix>a</Prefix><Status>Enabled</Status>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<LifecycleConfiguration/>", (400, "MalformedXML")),
        ("<Rule/>", (400, "MalformedXML")),
        (RULE.format(HEAD), (400, "MalformedXML")),
        (RULE.format("<Prefix>a</Prefix><Expiration><Days>1</Days></Expiration>"), (400, "MalformedXML")),
        (RULE.format(HEAD + "<Expiration/>"), (400, "MalformedXML")),
        (RULE.format(HEAD + "<Expiration><Days>0</Days></Expiration>"), (400, "InvalidArgument")),
        (RULE.format(HEAD + "<Expiration><CreatedBeforeDate>2030-01-01T01:00:00.000Z</CreatedBeforeDate></Expiration>"),
         (400, "InvalidArgument")),
        (RULE.format(HEAD + "<Expiration><CreatedBeforeDate>2030-13-01T00:00:00.000Z</CreatedBeforeDate></Expiration>"),
         (400, "MalformedXML")),
        (RULE.format(HEAD + "<Transition><Days>1</Days><StorageClass>IA</StorageClass></Transition>"),
         (501, "NotImplemented")),
    ],
)  # fmt: skip
def test_a_document_that_means_nothing_is_refused(bucket: oss2.Bucket, body: str, expected: tuple[int, str]) -> None:
    assert refusal(bucket._do, "PUT", BUCKET, "", params={"lifecycle": ""}, data=body) == expected
    assert refusal(bucket.get_bucket_lifecycle) == (404, "NoSuchLifecycle")
