"""Buckets and their listings."""

from __future__ import annotations

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest

from .conftest import BUCKET, Server

KEYS = sorted(
    ["a", "a/1", "a/2", "a/b/3", "a b+c%", "b/录音.wav", "b/zz", "c<&>'\"", "z"], key=lambda key: key.encode()
)


@pytest.fixture
def filled(bucket: oss2.Bucket) -> oss2.Bucket:
    for key in KEYS:
        bucket.put_object(key, key.encode())
    return bucket


def v1_pages(bucket: oss2.Bucket, size: int, **options: str) -> tuple[list[str], list[str]]:
    keys, prefixes, marker = [], [], ""
    while True:
        page = bucket.list_objects(marker=marker, max_keys=size, **options)
        assert len(page.object_list) + len(page.prefix_list) <= size
        keys += [found.key for found in page.object_list]
        prefixes += page.prefix_list
        if not page.is_truncated:
            return keys, prefixes
        marker = page.next_marker


def v2_pages(bucket: oss2.Bucket, size: int, **options: str) -> tuple[list[str], list[str]]:
    keys, prefixes, token = [], [], ""
    while True:
        page = bucket.list_objects_v2(continuation_token=token, max_keys=size, **options)
        assert len(page.object_list) + len(page.prefix_list) <= size
        keys += [found.key for found in page.object_list]
        prefixes += page.prefix_list
        if not page.is_truncated:
            return keys, prefixes
        token = page.next_continuation_token


@pytest.mark.parametrize("pages", [v1_pages, v2_pages])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_add_up_to_all_keys_in_byte_order(filled: oss2.Bucket, pages, size: int) -> None:
    assert pages(filled, size) == (KEYS, [])


@pytest.mark.parametrize("pages", [v1_pages, v2_pages])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_delimiter_rolls_keys_up(filled: oss2.Bucket, pages, size: int) -> None:
    keys, prefixes = pages(filled, size, delimiter="/")
    assert (sorted(keys), prefixes) == (["a", "a b+c%", "c<&>'\"", "z"], ["a/", "b/"])
    assert pages(filled, size, delimiter="/", prefix="a/") == (["a/1", "a/2"], ["a/b/"])
    assert pages(filled, size, prefix="b/录") == (["b/录音.wav"], [])
    assert pages(filled, size, prefix="nothing") == ([], [])


def test_a_large_group_is_one_prefix(bucket: oss2.Bucket) -> None:
    for number in range(30):
        bucket.append_object(f"in/{number:03d}", 0, b"")
    bucket.put_object("out", b"")
    assert v1_pages(bucket, 1, delimiter="/") == (["out"], ["in/"])


def test_listing_starts_after_a_key(filled: oss2.Bucket) -> None:
    after = [key for key in KEYS if key > "a/1"]
    assert [found.key for found in filled.list_objects(marker="a/1").object_list] == after
    assert [found.key for found in filled.list_objects_v2(start_after="a/1").object_list] == after
    assert [found.key for found in filled.list_objects_v2(start_after="a/11").object_list] == after
    assert [found.key for found in filled.list_objects(marker="zz").object_list] == []
    assert [found.key for found in filled.list_objects(prefix="b/", marker="a").object_list] == ["b/zz", "b/录音.wav"]


def test_the_newer_sdk_lists_the_same(server: Server, filled: oss2.Bucket) -> None:
    paginator = server.client_v2().list_objects_v2_paginator()
    pages = paginator.iter_page(oss_v2.ListObjectsV2Request(bucket=BUCKET, max_keys=2, delimiter="/", prefix="a"))
    found = list(pages)
    assert [item.key for page in found for item in page.contents or []] == ["a", "a b+c%"]
    assert [item.prefix for page in found for item in page.common_prefixes or []] == ["a/"]
    v1 = server.client_v2().list_objects(oss_v2.ListObjectsRequest(bucket=BUCKET, marker="b/"))
    assert [item.key for item in v1.contents] == [key for key in KEYS if key > "b/"]


def test_a_listed_object_is_described(server: Server, bucket: oss2.Bucket) -> None:
    etag = bucket.put_object("k", b"hello").etag
    bucket.append_object("j", 0, b"x")
    appendable, normal = bucket.list_objects().object_list
    assert (normal.etag, normal.size, normal.type, normal.storage_class) == (etag, 5, "Normal", "Standard")
    assert abs(normal.last_modified - server.clock.now()) < 30
    assert normal.owner.id == server.account.account_id
    assert appendable.type == "Appendable"
    assert bucket.list_objects_v2().object_list[0].owner is None
    assert bucket.list_objects_v2(fetch_owner=True).object_list[0].owner.id == server.account.account_id


@pytest.mark.parametrize("size", ["0", "1001", "-1", "ten"])
def test_a_page_holds_one_to_a_thousand(bucket: oss2.Bucket, size: str) -> None:
    for call in (bucket.list_objects, bucket.list_objects_v2):
        with pytest.raises(oss2.exceptions.InvalidArgument):
            call(max_keys=size)


def test_a_page_holds_a_hundred_unless_told(server: Server, bucket: oss2.Bucket) -> None:
    for number in range(101):
        bucket.put_object(f"{number:03d}", b"")
    page = server.client_v2().list_objects_v2(oss_v2.ListObjectsV2Request(bucket=BUCKET))
    assert (page.key_count, page.is_truncated) == (100, True)


def test_a_forged_continuation_token_is_refused(bucket: oss2.Bucket) -> None:
    with pytest.raises(oss2.exceptions.InvalidArgument):
        bucket.list_objects_v2(continuation_token="%%%")


def test_a_bucket_is_made_once(server: Server) -> None:
    made = server.bucket(name="new-bucket")
    made.create_bucket()
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        made.create_bucket()
    assert (caught.value.status, caught.value.code) == (409, "BucketAlreadyExists")
    made.put_object("k", b"")
    with pytest.raises(oss2.exceptions.BucketNotEmpty):
        made.delete_bucket()
    made.delete_object("k")
    made.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        made.get_bucket_info()


def test_a_bucket_with_settings_that_are_not_served_is_not_made(server: Server) -> None:
    made = server.bucket(name="new-bucket")
    for options in (
        {"permission": oss2.BUCKET_ACL_PUBLIC_READ},
        {"input": oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_IA)},
    ):
        with pytest.raises(oss2.exceptions.ServerError) as caught:
            made.create_bucket(**options)
        assert caught.value.status == 501
    standard = oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_STANDARD)
    made.create_bucket(oss2.BUCKET_ACL_PRIVATE, standard)


@pytest.mark.parametrize("name", ["-ab", "ab-", "a_b", "Abc", "ab", "a" * 64])
def test_a_bucket_name_follows_the_rules(server: Server, bucket: oss2.Bucket, name: str) -> None:
    bucket.bucket_name = name  # the SDK's own check sits in the constructor
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.create_bucket()
    assert (caught.value.status, caught.value.code) == (400, "InvalidBucketName")


def test_a_bucket_says_what_it_is(server: Server, bucket: oss2.Bucket) -> None:
    info = bucket.get_bucket_info()
    assert (info.name, info.location, info.storage_class) == (BUCKET, "oss-cn-beijing", "Standard")
    assert (info.owner.id, info.acl.grant) == (server.account.account_id, "private")
    assert bucket.get_bucket_location().location == "oss-cn-beijing"
    assert bucket.get_bucket_acl().acl == "private"
    assert server.client_v2().is_bucket_exist(BUCKET)
    assert not server.client_v2().is_bucket_exist("no-such-bucket")
    assert server.client_v2().get_bucket_info(oss_v2.GetBucketInfoRequest(bucket=BUCKET)).bucket_info.name == BUCKET


def test_buckets_are_listed_in_pages(server: Server) -> None:
    for name in ("bucket-a", "bucket-b", "bucket-c"):
        server.bucket(name=name).create_bucket()
    service = oss2.Service(server.bucket().auth, server.endpoint, region=server.account.region)
    first = service.list_buckets(prefix="bucket-", max_keys=2)
    assert ([found.name for found in first.buckets], first.is_truncated) == (["bucket-a", "bucket-b"], True)
    rest = service.list_buckets(prefix="bucket-", marker=first.next_marker)
    assert ([found.name for found in rest.buckets], rest.is_truncated) == (["bucket-c"], False)
    assert [found.name for found in server.client_v2().list_buckets(oss_v2.ListBucketsRequest()).buckets][-1] == BUCKET
