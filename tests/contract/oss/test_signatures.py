"""Signatures V1 and V4, in headers and in URLs, by keys and by sessions, as two independent SDKs compose them."""

from __future__ import annotations

import datetime
import re
from email.utils import formatdate
from urllib.parse import quote

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
import requests

from localcloud.account import AccessKey

from .conftest import BUCKET, Server, v1, v4

KEY = "in/a b+c%20d/录音 1.wav"
SIGNERS = {"v1": v1, "v4": v4}
SIGNED_BY = pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())
HELD_BY = pytest.mark.parametrize("session", [False, True], ids=["key", "session"])


def holder(server: Server, session: bool) -> AccessKey:
    return server.account.open_session("role/functions") if session else server.account.root


def refusal(call: object, *arguments: object, **options: object) -> tuple[int, str]:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    return caught.value.status, caught.value.code


def answer(response: requests.Response) -> tuple[int, str]:
    code = re.search("<Code>(.*)</Code>", response.text)
    return response.status_code, code[1] if code else ""


@SIGNED_BY
@HELD_BY
def test_a_signed_header_is_accepted(server: Server, signer, session: bool) -> None:
    bucket = server.bucket(signer(holder(server, session)))
    bucket.put_object(KEY, b"hello", headers={"x-oss-meta-b": "2", "x-oss-meta-a": "1", "Content-Type": "audio/wav"})
    assert bucket.get_object(KEY).read() == b"hello"
    assert bucket.get_object(KEY, params={"response-content-type": "text/plain"}).content_type == "text/plain"
    assert [found.key for found in oss2.ObjectIteratorV2(bucket, prefix="in/a b+")] == [KEY]


@SIGNED_BY
@HELD_BY
@pytest.mark.parametrize("slash_safe", [False, True])
def test_a_signed_url_is_accepted(server: Server, signer, session: bool, slash_safe: bool) -> None:
    bucket = server.bucket(signer(holder(server, session)))
    put = bucket.sign_url("PUT", KEY, 60, headers={"Content-Type": "audio/wav"}, slash_safe=slash_safe)
    assert requests.put(put, data=b"hello", headers={"Content-Type": "audio/wav"}, timeout=10).status_code == 200
    assert requests.get(bucket.sign_url("GET", KEY, 60, slash_safe=slash_safe), timeout=10).content == b"hello"
    assert requests.head(bucket.sign_url("HEAD", KEY, 60), timeout=10).headers["Content-Length"] == "5"


@pytest.mark.parametrize("version", ["v1", "v4"])
@HELD_BY
def test_the_newer_sdk_agrees_on_signatures(server: Server, version: str, session: bool) -> None:
    client = server.client_v2(key=holder(server, session), signature_version=version)
    client.put_object(oss_v2.PutObjectRequest(bucket=BUCKET, key=KEY, body=b"hello", metadata={"call": "1"}))
    assert client.get_object(oss_v2.GetObjectRequest(bucket=BUCKET, key=KEY)).body.content == b"hello"
    listed = client.list_objects_v2(oss_v2.ListObjectsV2Request(bucket=BUCKET, prefix="in/a b+"))
    assert [found.key for found in listed.contents] == [KEY]
    url = client.presign(oss_v2.GetObjectRequest(bucket=BUCKET, key=KEY), expires=datetime.timedelta(seconds=60)).url
    assert requests.get(url, timeout=10).content == b"hello"


def test_additional_headers_are_part_of_a_v4_signature(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"hello")
    url = bucket.sign_url("GET", "k", 60, headers={"Range": "bytes=0-1"}, additional_headers={"range"})
    assert requests.get(url, headers={"Range": "bytes=0-1"}, timeout=10).content == b"he"
    assert answer(requests.get(url, headers={"Range": "bytes=0-4"}, timeout=10)) == (403, "SignatureDoesNotMatch")
    assert answer(requests.get(url, timeout=10)) == (400, "InvalidArgument")


def test_a_signed_content_length_binds_an_upload(server: Server, bucket: oss2.Bucket) -> None:
    headers = {"Content-Length": "5"}
    url = bucket.sign_url("PUT", "k", 60, headers=headers, additional_headers={"content-length"})
    assert answer(requests.put(url, data=b"longer than five", timeout=10)) == (403, "SignatureDoesNotMatch")
    assert requests.put(url, data=b"hello", timeout=10).status_code == 200


@SIGNED_BY
def test_a_wrong_secret_is_refused(server: Server, signer) -> None:
    bucket = server.bucket(signer(AccessKey(server.account.root.access_key_id, "wrong")))
    assert refusal(bucket.put_object, "k", b"") == (403, "SignatureDoesNotMatch")
    assert answer(requests.get(bucket.sign_url("GET", "k", 60), timeout=10)) == (403, "SignatureDoesNotMatch")


@SIGNED_BY
def test_an_unknown_key_is_refused(server: Server, signer) -> None:
    assert refusal(server.bucket(signer(AccessKey("LTAInobody", "x"))).get_object, "k") == (403, "InvalidAccessKeyId")


@SIGNED_BY
def test_a_refused_signature_shows_what_the_server_signed(server: Server, signer) -> None:
    bucket = server.bucket(signer(AccessKey(server.account.root.access_key_id, "wrong")))
    with pytest.raises(oss2.exceptions.SignatureDoesNotMatch) as caught:
        bucket.get_object("k")
    details = caught.value.details
    assert details["OSSAccessKeyId"] == server.account.root.access_key_id
    assert bytes.fromhex(details["StringToSignBytes"]).decode() == details["StringToSign"]


@SIGNED_BY
@pytest.mark.parametrize("change", ["key", "method", "expiry", "override"])
def test_a_changed_url_is_refused(server: Server, bucket: oss2.Bucket, signer, change: str) -> None:
    bucket.put_object("key-1", b"mine")
    bucket.put_object("key-2", b"other")
    params = {"response-content-type": "text/plain"}
    url = server.bucket(signer(server.account.root)).sign_url("GET", "key-1", 60, params=params)
    method = "GET"
    if change == "key":
        url = url.replace("key-1", "key-2")
    elif change == "method":
        method = "DELETE"
    elif change == "expiry":
        url = re.sub(r"((?:x-oss-expires|Expires)=)(\d+)", lambda match: match[1] + str(int(match[2]) + 1000), url)
    else:
        url = url.replace(quote("text/plain", safe=""), quote("text/html", safe="")).replace("text/plain", "text/html")
    assert answer(requests.request(method, url, timeout=10)) == (403, "SignatureDoesNotMatch")
    assert bucket.object_exists("key-1")


@SIGNED_BY
def test_a_signed_url_expires_with_the_clock(server: Server, signer) -> None:
    url = server.bucket(signer(server.account.root)).sign_url("GET", "k", 60)
    assert answer(requests.get(url, timeout=10)) == (404, "NoSuchKey")
    server.clock.move(62)
    response = requests.get(url, timeout=10)
    assert answer(response) == (403, "AccessDenied")
    assert "Request has expired." in response.text


@pytest.mark.parametrize("seconds", [0, 604801])
def test_a_v4_url_lives_a_second_to_seven_days(server: Server, bucket: oss2.Bucket, seconds: int) -> None:
    assert answer(requests.get(bucket.sign_url("GET", "k", seconds), timeout=10)) == (400, "InvalidArgument")


@SIGNED_BY
@pytest.mark.parametrize("door", ["header", "url"])
def test_an_expired_session_is_refused(server: Server, signer, door: str) -> None:
    bucket = server.bucket(signer(server.account.open_session("role/functions", life_seconds=900)))
    url = bucket.sign_url("GET", "k", 3600)
    server.clock.move(901)
    if door == "header":
        assert refusal(bucket.put_object, "k", b"") == (403, "SecurityTokenExpired")
    else:
        assert answer(requests.get(url, timeout=10)) == (403, "SecurityTokenExpired")


@SIGNED_BY
def test_a_session_needs_its_own_token(server: Server, signer) -> None:
    one, other = server.account.open_session("a"), server.account.open_session("b")
    without = AccessKey(one.access_key_id, one.access_key_secret)
    mixed = AccessKey(one.access_key_id, one.access_key_secret, other.security_token)
    assert refusal(server.bucket(signer(without)).get_object, "k") == (403, "InvalidAccessKeyId")
    assert refusal(server.bucket(signer(mixed)).get_object, "k") == (403, "InvalidSecurityToken")
    url = server.bucket(signer(mixed)).sign_url("GET", "k", 60)
    assert answer(requests.get(url, timeout=10)) == (403, "InvalidSecurityToken")


@SIGNED_BY
def test_a_long_lived_key_with_a_token_is_unknown(server: Server, signer) -> None:
    root = server.account.root
    odd = AccessKey(root.access_key_id, root.access_key_secret, "CAISsomething")
    assert refusal(server.bucket(signer(odd)).get_object, "k") == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_more_than_fifteen_minutes_off_is_refused(server: Server, minutes: int) -> None:
    client = server.client_v2(signature_version="v4")
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    headers = {"x-oss-date": formatdate(when.timestamp(), usegmt=True)}
    with pytest.raises(oss_v2.exceptions.OperationError) as caught:
        client.get_object(oss_v2.GetObjectRequest(bucket=BUCKET, key="k", headers=headers))
    error = caught.value.unwrap()
    assert (error.status_code, error.code) == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("date", [formatdate(0, usegmt=True), formatdate(4e9, usegmt=True)])
def test_a_v1_date_far_off_is_refused(server: Server, date: str) -> None:
    response = requests.get(
        f"{server.endpoint}/{BUCKET}/k", headers={"Date": date, "Authorization": "OSS id:signature"}, timeout=10
    )
    assert answer(response) == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_header_signature_needs_a_valid_date(server: Server, date: str) -> None:
    response = requests.get(
        f"{server.endpoint}/{BUCKET}/k", headers={"Date": date, "Authorization": "OSS id:signature"}, timeout=10
    )
    assert answer(response) == (403, "AccessDenied")


def test_moving_the_clock_does_not_lock_clients_out(server: Server, bucket: oss2.Bucket) -> None:
    server.clock.move(24 * 3600)
    bucket.put_object("k", b"hello")
    assert bucket.head_object("k").last_modified > datetime.datetime.now().timestamp() + 23 * 3600


def test_another_region_is_refused(server: Server) -> None:
    bucket = oss2.Bucket(v4(server.account.root), server.endpoint, BUCKET, region="cn-hangzhou")
    assert refusal(bucket.get_object, "k") == (400, "InvalidArgument")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_an_anonymous_request_is_refused(server: Server, bucket: oss2.Bucket, method: str) -> None:
    bucket.put_object("k", b"hello")
    response = requests.request(method, f"{server.endpoint}/{BUCKET}/k", timeout=10)
    assert response.status_code == 403
    assert method == "HEAD" or answer(response) == (403, "AccessDenied")
    assert bucket.get_object("k").read() == b"hello"


def test_an_anonymous_request_learns_that_a_bucket_does_not_exist(server: Server) -> None:
    assert answer(requests.get(f"{server.endpoint}/no-such-bucket/k", timeout=10)) == (404, "NoSuchBucket")
    assert answer(requests.get(f"{server.endpoint}/", timeout=10)) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer abc", (400, "InvalidArgument")),
        ("OSS4-HMAC-SHA256 nonsense", (400, "InvalidArgument")),
        ("OSS4-HMAC-SHA256 Credential=a/b, Signature=c", (400, "InvalidArgument")),
        ("OSS2 AccessKeyId:a,Signature:b", (501, "NotImplemented")),
    ],
)
def test_other_authorizations_are_refused(server: Server, authorization: str, expected: tuple[int, str]) -> None:
    response = requests.get(f"{server.endpoint}/{BUCKET}/k", headers={"Authorization": authorization}, timeout=10)
    assert answer(response) == expected


def test_a_header_and_a_query_signature_together_are_refused(server: Server, bucket: oss2.Bucket) -> None:
    url = bucket.sign_url("GET", "k", 60)
    response = requests.get(url, headers={"Authorization": "OSS a:b"}, timeout=10)
    assert answer(response) == (400, "InvalidArgument")


@SIGNED_BY
def test_a_header_added_on_the_way_breaks_the_signature(server: Server, signer) -> None:
    bucket = server.bucket(signer(server.account.root))
    url = bucket.sign_url("PUT", "k", 60)
    response = requests.put(url, data=b"", headers={"x-oss-meta-smuggled": "1"}, timeout=10)
    assert answer(response) == (403, "SignatureDoesNotMatch")


@SIGNED_BY
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_ip_and_localhost_are_path_style(server: Server, signer, host: str) -> None:
    port = server.host.rpartition(":")[2]
    bucket = server.bucket(signer(server.account.root), endpoint=f"http://{host}:{port}")
    bucket.put_object(KEY, b"hello")
    assert bucket.get_object(KEY).read() == b"hello"


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_label_before_localhost_is_the_bucket(server: Server, bucket: oss2.Bucket, version: str) -> None:
    bucket.put_object(KEY, b"hello")
    port = server.host.rpartition(":")[2]
    client = server.client_v2(signature_version=version, endpoint=f"http://localhost:{port}")
    url = client.presign(oss_v2.GetObjectRequest(bucket=BUCKET, key=KEY)).url
    assert url.startswith(f"http://{BUCKET}.localhost:{port}/")
    direct = url.replace(f"{BUCKET}.localhost", "127.0.0.1")  # not every resolver knows *.localhost
    response = requests.get(direct, headers={"Host": f"{BUCKET}.localhost:{port}"}, timeout=10)
    assert response.content == b"hello"
