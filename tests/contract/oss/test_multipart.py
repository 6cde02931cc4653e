"""Uploads in parts, through both SDKs.

help.aliyun.com/en/oss/developer-reference/completemultipartupload and its neighbours.
"""

from __future__ import annotations

import threading

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
from oss2.models import PartInfo

from .conftest import BUCKET, Server
from .test_objects import crc_of, refusal

KB = 1024
KEY = "in/多 part+%20.wav"
FIRST, LAST = b"a" * (100 * KB), b"b" * 10


def begin(bucket: oss2.Bucket, *parts: bytes, key: str = KEY, **options: object) -> tuple[str, list[PartInfo]]:
    upload_id = bucket.init_multipart_upload(key, **options).upload_id
    infos = []
    for number, data in enumerate(parts, 1):
        result = bucket.upload_part(key, upload_id, number, data)
        assert result.crc == int(crc_of(data))
        infos.append(PartInfo(number, result.etag, size=len(data), part_crc=result.crc))
    return upload_id, infos


def test_parts_become_one_object(server: Server, bucket: oss2.Bucket) -> None:
    headers = {"Content-Type": "audio/wav", "x-oss-meta-call": "1", "x-oss-tagging": "a=1"}
    upload_id, parts = begin(bucket, FIRST, LAST, headers=headers)
    assert not bucket.object_exists(KEY)
    names = [event["eventName"].removeprefix("ObjectCreated:") for event in server.events]
    assert names == ["InitiateMultipartUpload", "UploadPart", "UploadPart"]
    server.events.clear()
    result = bucket.complete_multipart_upload(KEY, upload_id, parts)
    assert result.headers["x-oss-hash-crc64ecma"] == crc_of(FIRST + LAST)
    name, _, count = result.etag.partition("-")
    assert (len(name), name.upper(), count) == (32, name, "2")
    found = bucket.get_object(KEY)
    assert found.read() == FIRST + LAST
    assert (found.etag, found.object_type, found.content_type) == (result.etag, "Multipart", "audio/wav")
    assert (found.headers["x-oss-meta-call"], found.headers["x-oss-tagging-count"]) == ("1", "1")
    assert "Content-MD5" not in found.headers
    (event,) = server.events
    assert event["eventName"] == "ObjectCreated:CompleteMultipartUpload"
    assert (event["oss"]["object"]["key"], event["oss"]["object"]["eTag"]) == (KEY, result.etag)
    assert refusal(bucket.list_parts, KEY, upload_id) == (404, "NoSuchUpload")


def test_the_newer_sdk_uploads_and_copies_in_parts(server: Server) -> None:
    client = server.client_v2()
    upload = client.initiate_multipart_upload(oss_v2.InitiateMultipartUploadRequest(bucket=BUCKET, key=KEY))
    at = {"bucket": BUCKET, "key": KEY, "upload_id": upload.upload_id}
    one = client.upload_part(oss_v2.UploadPartRequest(**at, part_number=1, body=FIRST))
    client.put_object(oss_v2.PutObjectRequest(bucket=BUCKET, key="源 +", body=b"0123456789"))
    two = client.upload_part_copy(
        oss_v2.UploadPartCopyRequest(**at, part_number=2, source_key="源 +", source_range="bytes=2-4")
    )
    assert [part.size for part in client.list_parts(oss_v2.ListPartsRequest(**at)).parts] == [len(FIRST), 3]
    listed = client.list_multipart_uploads(oss_v2.ListMultipartUploadsRequest(bucket=BUCKET)).uploads
    assert [(found.key, found.upload_id) for found in listed] == [(KEY, upload.upload_id)]
    parts = [oss_v2.UploadPart(part_number=1, etag=one.etag), oss_v2.UploadPart(part_number=2, etag=two.etag)]
    done = client.complete_multipart_upload(
        oss_v2.CompleteMultipartUploadRequest(
            **at, complete_multipart_upload=oss_v2.CompleteMultipartUpload(parts=parts)
        )
    )
    assert done.key == KEY
    found = client.get_object(oss_v2.GetObjectRequest(bucket=BUCKET, key=KEY)).body.content
    assert found == FIRST + b"234"


def test_all_parts_are_taken_when_told(server: Server, bucket: oss2.Bucket) -> None:
    upload_id, parts = begin(bucket, FIRST, LAST)
    both = {"x-oss-complete-all": "yes"}
    assert refusal(bucket.complete_multipart_upload, KEY, upload_id, parts, headers=both) == (400, "InvalidArgument")
    client = server.client_v2()
    request = oss_v2.CompleteMultipartUploadRequest(bucket=BUCKET, key=KEY, upload_id=upload_id, complete_all="yes")
    client.complete_multipart_upload(request)
    assert bucket.get_object(KEY).read() == FIRST + LAST


def test_the_last_upload_of_a_part_counts(bucket: oss2.Bucket) -> None:
    upload_id, _ = begin(bucket, b"old")
    again = bucket.upload_part(KEY, upload_id, 1, b"new")
    bucket.complete_multipart_upload(KEY, upload_id, [PartInfo(1, again.etag)])
    assert bucket.get_object(KEY).read() == b"new"


def test_part_numbers_may_have_gaps(bucket: oss2.Bucket) -> None:
    upload_id, (first,) = begin(bucket, FIRST)
    last = bucket.upload_part(KEY, upload_id, 10000, LAST)
    bucket.complete_multipart_upload(KEY, upload_id, [first, PartInfo(10000, last.etag)])
    assert bucket.get_object(KEY).read() == FIRST + LAST


def test_what_can_not_be_completed_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    upload_id, parts = begin(bucket, b"small", LAST)
    server.events.clear()
    complete = bucket.complete_multipart_upload
    assert refusal(complete, KEY, upload_id, parts) == (400, "EntityTooSmall")
    assert refusal(complete, KEY, upload_id, [PartInfo(1, "0" * 32)]) == (400, "InvalidPart")
    assert refusal(complete, KEY, upload_id, [PartInfo(3, parts[0].etag)]) == (400, "InvalidPart")
    backwards = [PartInfo(2, parts[1].etag), PartInfo(1, parts[0].etag)]  # oss2 sorts what it is given itself
    body = "".join(f"<Part><PartNumber>{p.part_number}</PartNumber><ETag>{p.etag}</ETag></Part>" for p in backwards)
    for text, code in ((body, "InvalidPartOrder"), ("", "MalformedXML"), ("<Part/>", "MalformedXML")):
        document = f"<CompleteMultipartUpload>{text}</CompleteMultipartUpload>"
        call = lambda data=document: bucket._do("POST", BUCKET, KEY, params={"uploadId": upload_id}, data=data)  # noqa: E731
        assert refusal(call) == (400, code)
    assert refusal(complete, KEY, "0" * 32, parts) == (404, "NoSuchUpload")
    assert refusal(complete, "other", upload_id, parts) == (404, "NoSuchUpload")
    assert not bucket.object_exists(KEY)
    assert server.events == []
    complete(KEY, upload_id, parts[:1])


@pytest.mark.parametrize("number", [0, 10001])
def test_a_part_number_is_one_to_ten_thousand(bucket: oss2.Bucket, number: int) -> None:
    upload_id, _ = begin(bucket)
    assert refusal(bucket.upload_part, KEY, upload_id, number, b"x") == (400, "InvalidArgument")


def test_a_part_is_checked_like_an_object(bucket: oss2.Bucket) -> None:
    upload_id, _ = begin(bucket)
    wrong = {"Content-MD5": oss2.utils.content_md5(b"other")}
    assert refusal(bucket.upload_part, KEY, upload_id, 1, b"x", headers=wrong) == (400, "InvalidDigest")
    assert refusal(bucket.upload_part, KEY, "0" * 32, 1, b"x") == (404, "NoSuchUpload")
    assert bucket.list_parts(KEY, upload_id).parts == []


def test_completing_may_forbid_to_overwrite(bucket: oss2.Bucket) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    upload_id, parts = begin(bucket, LAST)
    promised, promised_parts = begin(bucket, LAST, headers=forbid)
    bucket.put_object(KEY, b"first")
    complete = bucket.complete_multipart_upload
    assert refusal(complete, KEY, upload_id, parts, headers=forbid) == (409, "FileAlreadyExists")
    assert refusal(complete, KEY, promised, promised_parts) == (409, "FileAlreadyExists")
    assert refusal(bucket.init_multipart_upload, KEY, headers=forbid) == (409, "FileAlreadyExists")
    assert bucket.get_object(KEY).read() == b"first"
    complete(KEY, upload_id, parts)
    assert bucket.get_object(KEY).read() == LAST


def test_one_of_simultaneous_completions_wins(server: Server, bucket: oss2.Bucket) -> None:
    uploads = [begin(bucket, str(who).encode()) for who in range(6)]
    server.events.clear()
    outcomes: list[str] = []
    barrier = threading.Barrier(len(uploads))

    def run(who: int) -> None:
        mine = server.bucket()
        barrier.wait()
        try:
            mine.complete_multipart_upload(KEY, *uploads[who], headers={"x-oss-forbid-overwrite": "true"})
            outcomes.append(str(who))
        except oss2.exceptions.ServerError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=run, args=(who,)) for who in range(len(uploads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [outcome for outcome in outcomes if outcome != "FileAlreadyExists"]
    assert bucket.get_object(KEY).read() == winner.encode()
    assert len(server.events) == 1


def test_an_aborted_upload_leaves_nothing(server: Server, bucket: oss2.Bucket) -> None:
    upload_id, parts = begin(bucket, FIRST)
    assert refusal(bucket.delete_bucket) == (409, "BucketNotEmpty")
    bucket.abort_multipart_upload(KEY, upload_id)
    assert refusal(bucket.abort_multipart_upload, KEY, upload_id) == (404, "NoSuchUpload")
    assert refusal(bucket.complete_multipart_upload, KEY, upload_id, parts) == (404, "NoSuchUpload")
    assert not [path for path in (server.root / "blobs").rglob("*") if path.is_file()]
    bucket.delete_bucket()


def test_a_copied_part_without_a_fitting_range_is_all_of_the_source(bucket: oss2.Bucket) -> None:
    bucket.put_object("source", b"0123456789")
    upload_id, _ = begin(bucket)
    for given, expected in (((2, 4), 3), ((None, None), 10), ((5, 99), 10)):
        bucket.upload_part_copy(BUCKET, "source", given, KEY, upload_id, 1)
        assert [part.size for part in bucket.list_parts(KEY, upload_id).parts] == [expected]
    assert refusal(bucket.upload_part_copy, BUCKET, "none", (None, None), KEY, upload_id, 1) == (404, "NoSuchKey")
    conditions = {"x-oss-copy-source-if-match": "0" * 32}
    copy = bucket.upload_part_copy
    assert refusal(copy, BUCKET, "source", (0, 1), KEY, upload_id, 1, headers=conditions)[0] == 412


def test_lists_come_in_pages(bucket: oss2.Bucket) -> None:
    upload_id, parts = begin(bucket, b"1", b"2", b"3")
    assert [part.etag for part in oss2.PartIterator(bucket, KEY, upload_id, max_parts=2)] == [p.etag for p in parts]
    keys = ["a/1", "a/1", "b 键", "c/1", "c/2"]
    ids = sorted((key, begin(bucket, key=key)[0]) for key in keys)
    found = [(one.key, one.upload_id) for one in oss2.MultipartUploadIterator(bucket, max_uploads=2)]
    assert found == [*ids, (KEY, upload_id)]
    page = bucket.list_multipart_uploads(delimiter="/")
    assert ([one.key for one in page.upload_list], page.prefix_list) == (["b 键"], ["a/", "c/", "in/"])
    assert len(bucket.list_multipart_uploads(prefix="c/").upload_list) == 2


def test_the_sdks_own_resumable_upload_works(bucket: oss2.Bucket, tmp_path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * 1400)
    store = oss2.ResumableStore(root=str(tmp_path / "progress"))
    oss2.resumable_upload(bucket, KEY, str(path), store=store, multipart_threshold=1, part_size=100 * KB, num_threads=2)
    assert bucket.get_object(KEY).read() == path.read_bytes()
