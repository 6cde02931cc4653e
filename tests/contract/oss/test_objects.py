"""PutObject, GetObject, HeadObject, DeleteObject and CopyObject."""

from __future__ import annotations

import base64
import datetime
import hashlib

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
from oss2.utils import Crc64

from .conftest import BUCKET, MAX_OBJECT_BYTES, Server

BODY = bytes(range(256)) * 4


def refusal(call: object, *arguments: object, **options: object) -> tuple[int, str]:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    assert caught.value.request_id
    return caught.value.status, caught.value.code


def crc_of(data: bytes) -> str:
    crc = Crc64()
    crc.update(data)
    return str(crc.crc)


def test_an_upload_is_answered_with_its_checksums(bucket: oss2.Bucket) -> None:
    result = bucket.put_object("k", BODY)
    assert result.headers["ETag"] == f'"{hashlib.md5(BODY).hexdigest().upper()}"'
    assert result.headers["x-oss-hash-crc64ecma"] == crc_of(BODY)
    assert len(result.request_id) == 24


def test_an_object_comes_back_as_it_was_described(server: Server, bucket: oss2.Bucket) -> None:
    kept = {
        "Content-Type": "audio/wav",
        "Cache-Control": "public, max-age=60",
        "Content-Disposition": 'attachment; filename="a.wav"',
        "Content-Language": "zh-CN",
        "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
        "x-oss-meta-callid": "c-1",
        "x-oss-meta-UPPER": "Kept",
    }
    bucket.put_object("k", BODY, headers=kept)
    for found in (bucket.get_object("k"), bucket.head_object("k")):
        for name, value in kept.items():
            assert found.headers[name] == value
        assert found.headers["x-oss-object-type"] == "Normal"
        assert found.headers["x-oss-storage-class"] == "Standard"
        assert found.headers["x-oss-hash-crc64ecma"] == crc_of(BODY)
        assert found.headers["Content-MD5"] == base64.b64encode(hashlib.md5(BODY).digest()).decode()
        assert found.headers["Accept-Ranges"] == "bytes"
        assert found.content_length == len(BODY)
        assert abs(found.last_modified - server.clock.now()) < 30


def test_the_newer_sdk_reads_the_same(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY, headers={"x-oss-meta-callid": "c-1"})
    head = server.client_v2().head_object(oss_v2.HeadObjectRequest(bucket=BUCKET, key="k"))
    assert (head.content_length, head.metadata["callid"], head.object_type) == (len(BODY), "c-1", "Normal")
    assert head.hash_crc64 == crc_of(BODY)


def test_date_comes_from_the_clock(server: Server, bucket: oss2.Bucket) -> None:
    server.clock.move(1_000_000)
    result = bucket.put_object("k", BODY)
    sent = datetime.datetime.strptime(result.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
    assert abs(sent.replace(tzinfo=datetime.UTC).timestamp() - server.clock.now()) < 30


def test_an_upload_without_a_type_is_an_octet_stream(server: Server) -> None:
    server.client_v2().put_object(oss_v2.PutObjectRequest(bucket=BUCKET, key="no-extension", body=BODY))
    head = server.client_v2().head_object(oss_v2.HeadObjectRequest(bucket=BUCKET, key="no-extension"))
    assert head.content_type == "application/octet-stream"


def test_object_meta_is_short(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY, headers={"x-oss-meta-callid": "c-1"})
    meta = bucket.get_object_meta("k")
    assert (meta.content_length, meta.etag) == (len(BODY), hashlib.md5(BODY).hexdigest().upper())
    assert "x-oss-meta-callid" not in meta.headers


def test_an_empty_object_is_an_object(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"")
    assert bucket.get_object("k").read() == b""
    assert bucket.head_object("k").content_length == 0


def test_what_is_missing_is_404(server: Server, bucket: oss2.Bucket) -> None:
    assert refusal(bucket.get_object, "k") == (404, "NoSuchKey")
    assert refusal(bucket.head_object, "k") == (404, "NoSuchKey")  # no body: the code comes in x-oss-err
    other = server.bucket(name="other-bucket")
    for call in (other.get_object, other.head_object, other.delete_object):
        assert refusal(call, "k") == (404, "NoSuchBucket")
    assert refusal(other.put_object, "k", BODY) == (404, "NoSuchBucket")
    assert refusal(other.append_object, "k", 0, BODY) == (404, "NoSuchBucket")


def test_a_refusal_is_told_in_oss_xml(server: Server, bucket: oss2.Bucket) -> None:
    with pytest.raises(oss2.exceptions.NoSuchKey) as caught:
        bucket.get_object("no <such> & key")
    details = caught.value.details
    assert details["Key"] == "no <such> & key"
    assert details["RequestId"] == caught.value.request_id
    assert details["HostId"] == server.host
    assert details["EC"] == "0026-00000001"
    assert caught.value.headers["Content-Type"] == "application/xml"


def test_deleting_answers_204_whether_or_not_there_was_an_object(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY)
    assert bucket.delete_object("k").status == 204
    assert bucket.delete_object("k").status == 204
    assert not bucket.object_exists("k")


def test_an_overwrite_replaces_everything(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY, headers={"x-oss-meta-old": "1"})
    bucket.put_object("k", b"new")
    found = bucket.get_object("k")
    assert found.read() == b"new"
    assert "x-oss-meta-old" not in found.headers


def test_forbid_overwrite_lets_only_the_first_write(bucket: oss2.Bucket) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("k", b"first", headers=forbid)
    assert refusal(bucket.put_object, "k", b"second", headers=forbid) == (409, "FileAlreadyExists")
    assert bucket.get_object("k").read() == b"first"
    bucket.put_object("k", b"third", headers={"x-oss-forbid-overwrite": "false"})
    assert refusal(bucket.put_object, "k", b"", headers={"x-oss-forbid-overwrite": "maybe"}) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "digest", [base64.b64encode(hashlib.md5(b"other").digest()).decode(), "not base64!", "c2hvcnQ="]
)
def test_a_body_that_does_not_match_its_md5_is_not_stored(bucket: oss2.Bucket, digest: str) -> None:
    assert refusal(bucket.put_object, "k", BODY, headers={"Content-MD5": digest}) == (400, "InvalidDigest")
    assert not bucket.object_exists("k")
    bucket.put_object("k", BODY, headers={"Content-MD5": oss2.utils.content_md5(BODY)})


@pytest.mark.parametrize("name", ["call_id", "a.b"])
def test_metadata_names_are_letters_digits_and_hyphens(bucket: oss2.Bucket, name: str) -> None:
    assert refusal(bucket.put_object, "k", b"", headers={f"x-oss-meta-{name}": "1"}) == (400, "InvalidArgument")


def test_metadata_values_are_printable_ascii(server: Server, bucket: oss2.Bucket) -> None:
    headers = {"x-oss-meta-a": "录音".encode()}
    assert refusal(bucket._do, "PUT", BUCKET, "k", data=b"", headers=headers) == (400, "InvalidArgument")


def test_metadata_is_at_most_eight_kilobytes(bucket: oss2.Bucket) -> None:
    headers = {"x-oss-meta-a": "x" * 5000, "x-oss-meta-b": "y" * 5000}
    assert refusal(bucket.put_object, "k", b"", headers=headers) == (400, "InvalidArgument")


def test_a_streamed_upload_of_unknown_length_is_taken(bucket: oss2.Bucket) -> None:
    pieces = [b"x" * 100_000, b"y" * 700_000, b"z"]
    bucket.put_object("k", iter(pieces))
    assert bucket.get_object("k").read() == b"".join(pieces)


def test_a_large_object_survives_the_round_trip(bucket: oss2.Bucket) -> None:
    body = bytes(range(251)) * 20_000  # 5 MB: past every buffer
    bucket.put_object("k", body)
    assert bucket.get_object("k").read() == body
    assert bucket.get_object("k", byte_range=(2_000_000, 4_999_999)).read() == body[2_000_000:5_000_000]


def test_an_upload_that_is_too_large_is_refused(bucket: oss2.Bucket) -> None:
    assert refusal(bucket.put_object, "k", b"x" * (MAX_OBJECT_BYTES + 1)) == (400, "EntityTooLarge")
    pieces = iter([b"x" * 1_000_000] * (MAX_OBJECT_BYTES // 1_000_000 + 1))
    with pytest.raises((oss2.exceptions.ServerError, oss2.exceptions.RequestError)):
        bucket.put_object("k", pieces)  # the refusal may overtake the body
    assert not bucket.object_exists("k")


def test_a_copy_takes_over_bytes_and_metadata(bucket: oss2.Bucket) -> None:
    bucket.put_object("in/源 +%.wav", BODY, headers={"x-oss-meta-callid": "c-1", "Content-Type": "audio/wav"})
    result = bucket.copy_object(BUCKET, "in/源 +%.wav", "quarantine/目标.wav")
    assert result.etag == hashlib.md5(BODY).hexdigest().upper()
    found = bucket.get_object("quarantine/目标.wav")
    assert (found.read(), found.content_type, found.headers["x-oss-meta-callid"]) == (BODY, "audio/wav", "c-1")


def test_a_copy_can_replace_metadata(bucket: oss2.Bucket) -> None:
    bucket.put_object("a", BODY, headers={"x-oss-meta-callid": "c-1"})
    headers = {"x-oss-metadata-directive": "REPLACE", "x-oss-meta-other": "2", "Content-Type": "audio/ogg"}
    bucket.copy_object(BUCKET, "a", "b", headers=headers)
    found = bucket.head_object("b")
    assert (found.content_type, found.headers["x-oss-meta-other"]) == ("audio/ogg", "2")
    assert "x-oss-meta-callid" not in found.headers


def test_a_copy_onto_itself_changes_metadata_and_keeps_the_bytes(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", BODY, headers={"x-oss-meta-old": "1"})
    bucket.update_object_meta("k", {"x-oss-meta-new": "2"})
    found = bucket.get_object("k")
    assert (found.read(), found.headers["x-oss-meta-new"]) == (BODY, "2")
    assert "x-oss-meta-old" not in found.headers


def test_a_copy_outlives_its_source(server: Server, bucket: oss2.Bucket) -> None:
    server.bucket(name="other-bucket").create_bucket()
    bucket.put_object("k", BODY)
    server.bucket(name="other-bucket").copy_object(BUCKET, "k", "k")
    bucket.put_object("k", b"changed")
    bucket.delete_object("k")
    assert server.bucket(name="other-bucket").get_object("k").read() == BODY


def test_a_copy_keeps_to_its_conditions(bucket: oss2.Bucket) -> None:
    etag = bucket.put_object("a", BODY).etag
    bucket.copy_object(BUCKET, "a", "b", headers={"x-oss-copy-source-if-match": etag})
    wrong = {"x-oss-copy-source-if-match": "0" * 32}
    assert refusal(bucket.copy_object, BUCKET, "a", "c", headers=wrong) == (412, "PreconditionFailed")
    same = {"x-oss-copy-source-if-none-match": etag}
    assert refusal(bucket.copy_object, BUCKET, "a", "c", headers=same)[0] == 304
    forbid = {"x-oss-forbid-overwrite": "true"}
    assert refusal(bucket.copy_object, BUCKET, "a", "b", headers=forbid) == (409, "FileAlreadyExists")
    assert not bucket.object_exists("c")


def test_a_copy_needs_its_source(bucket: oss2.Bucket) -> None:
    assert refusal(bucket.copy_object, BUCKET, "none", "b") == (404, "NoSuchKey")
    assert refusal(bucket.copy_object, "no-bucket", "a", "b") == (404, "NoSuchBucket")
    bucket.put_object("a", BODY)
    directive = {"x-oss-metadata-directive": "MERGE"}
    assert refusal(bucket.copy_object, BUCKET, "a", "b", headers=directive) == (400, "InvalidArgument")


def test_batch_delete_removes_what_is_there_and_names_all(bucket: oss2.Bucket) -> None:
    keys = ["in/a <b> & c.wav", "in/录音+1%20.wav", "never-there"]
    for key in keys[:2]:
        bucket.put_object(key, BODY)
    assert bucket.batch_delete_objects(keys).deleted_keys == keys
    assert list(oss2.ObjectIterator(bucket)) == []


def test_batch_delete_takes_a_thousand_keys_and_no_more(server: Server, bucket: oss2.Bucket) -> None:
    assert len(bucket.batch_delete_objects([f"k{number}" for number in range(1000)]).deleted_keys) == 1000
    assert refusal(bucket.batch_delete_objects, [f"k{number}" for number in range(1001)]) == (400, "MalformedXML")


@pytest.mark.parametrize("body", ["<Delete", "<Other/>", "<Delete/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><Delete/>"])
def test_batch_delete_reads_its_own_document_only(bucket: oss2.Bucket, body: str) -> None:
    headers = {"Content-MD5": oss2.utils.content_md5(body)}
    with pytest.raises(oss2.exceptions.MalformedXml):
        bucket._do("POST", BUCKET, "", data=body, params={"delete": ""}, headers=headers)
