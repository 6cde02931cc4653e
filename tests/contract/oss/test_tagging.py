"""Tags of objects (help.aliyun.com/en/oss/developer-reference/putobjecttagging)."""

from __future__ import annotations

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
from oss2.models import Tagging, TaggingRule

from .conftest import BUCKET, Server
from .test_objects import refusal


def tagging(tags: dict[str, str]) -> Tagging:
    rule = TaggingRule()
    for key, value in tags.items():
        rule.add(key, value)
    return Tagging(rule)


def tags_of(bucket: oss2.Bucket, key: str = "k", **options: object) -> dict[str, str]:
    return dict(bucket.get_object_tagging(key, **options).tag_set.tagging_rule)


def test_tags_are_put_read_and_removed(bucket: oss2.Bucket) -> None:
    before = bucket.put_object("k", b"hello")
    assert tags_of(bucket) == {}
    bucket.put_object_tagging("k", tagging({"a b": "1+2", "c/d": ""}))
    assert tags_of(bucket) == {"a b": "1+2", "c/d": ""}
    head = bucket.head_object("k")
    assert (head.headers["x-oss-tagging-count"], head.etag) == ("2", before.etag)
    bucket.put_object_tagging("k", tagging({"e": "f"}))
    assert tags_of(bucket) == {"e": "f"}
    assert bucket.delete_object_tagging("k").status == 204
    assert tags_of(bucket) == {}
    assert "x-oss-tagging-count" not in bucket.head_object("k").headers
    for call in (bucket.get_object_tagging, bucket.delete_object_tagging):
        assert refusal(call, "none") == (404, "NoSuchKey")


def test_the_newer_sdk_agrees_on_tags(server: Server) -> None:
    client, at = server.client_v2(), {"bucket": BUCKET, "key": "键 +"}
    client.put_object(oss_v2.PutObjectRequest(**at, body=b"", tagging="a%20b=1%2B2&c"))
    found = client.get_object_tagging(oss_v2.GetObjectTaggingRequest(**at)).tag_set.tags
    assert {tag.key: tag.value or "" for tag in found} == {"a b": "1+2", "c": ""}
    tags = oss_v2.Tagging(tag_set=oss_v2.TagSet(tags=[oss_v2.Tag(key="x", value="y")]))
    client.put_object_tagging(oss_v2.PutObjectTaggingRequest(**at, tagging=tags))
    assert client.head_object(oss_v2.HeadObjectRequest(**at)).tagging_count == 1
    assert client.delete_object_tagging(oss_v2.DeleteObjectTaggingRequest(**at)).status_code == 204


def test_an_upload_brings_its_tags(bucket: oss2.Bucket) -> None:
    headers = {"x-oss-tagging": "a%20b=1&c=2"}
    bucket.put_object("k", b"", headers=headers)
    bucket.append_object("j", 0, b"", headers=headers)
    assert tags_of(bucket) == tags_of(bucket, "j") == {"a b": "1", "c": "2"}
    bucket.put_object("k", b"")
    assert tags_of(bucket) == {}


def test_a_copy_takes_or_replaces_tags_apart_from_metadata(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"", headers={"x-oss-tagging": "a=1", "x-oss-meta-m": "1"})
    new = {"x-oss-tagging": "b=2"}
    bucket.copy_object(BUCKET, "k", "c1")
    bucket.copy_object(BUCKET, "k", "c2", headers=new)
    bucket.copy_object(BUCKET, "k", "c3", headers={**new, "x-oss-tagging-directive": "Replace"})
    bucket.copy_object(BUCKET, "k", "c4", headers={"x-oss-metadata-directive": "REPLACE"})
    assert [tags_of(bucket, key) for key in ("c1", "c2", "c3", "c4")] == [
        {"a": "1"},
        {"a": "1"},
        {"b": "2"},
        {"a": "1"},
    ]
    assert [bucket.head_object(key).headers.get("x-oss-meta-m") for key in ("c3", "c4")] == ["1", None]
    wrong = {"x-oss-tagging-directive": "Maybe"}
    assert refusal(bucket.copy_object, BUCKET, "k", "c5", headers=wrong) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "header", ["a=b=c", "a=1&a=2", "=1", "k" * 129, "a=" + "v" * 257, "a=%21", "&".join(f"k{n}=1" for n in range(11))]
)
def test_a_tag_outside_the_rules_is_refused(bucket: oss2.Bucket, header: str) -> None:
    assert refusal(bucket.put_object, "k", b"", headers={"x-oss-tagging": header}) == (400, "InvalidTag")
    assert not bucket.object_exists("k")


def test_ten_long_tags_are_taken(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"")
    tags = {f"{number}{'k' * 127}": "v" * 256 for number in range(10)}
    bucket.put_object_tagging("k", tagging(tags))
    assert tags_of(bucket) == tags


@pytest.mark.parametrize(
    "body", [b"", b"<Tagging/>", b"<TagSet/>", b"<Tagging><TagSet><Tag/></TagSet></Tagging>", b"<"]
)
def test_a_document_without_tags_is_malformed(bucket: oss2.Bucket, body: bytes) -> None:
    bucket.put_object("k", b"")
    call = lambda: bucket._do("PUT", BUCKET, "k", params={"tagging": ""}, data=body)  # noqa: E731
    assert refusal(call) == (400, "MalformedXML")
