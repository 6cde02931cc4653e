"""PostObject: HTML form uploads under a signed policy (help.aliyun.com/en/oss/developer-reference/postobject)."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import time
from typing import Any

import oss2
import pytest
import requests

from localcloud.account import AccessKey
from localcloud.oss import signatures

from .conftest import BUCKET, MAX_OBJECT_BYTES, Server
from .test_signatures import answer

KEY = "in/录音 +%20.wav"


def iso(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def signed(
    key: AccessKey, conditions: list[Any], version: str = "v1", life: float = 60, date: float = 0, **extra: Any
) -> dict[str, str]:
    """The fields of a signature, computed as the documentation's samples do."""
    session = {"x-oss-security-token": key.security_token} if key.security_token else {}
    policy: dict[str, Any] = {"expiration": iso(time.time() + life), "conditions": conditions, **extra}
    if version == "v1":
        text = base64.b64encode(json.dumps(policy).encode()).decode()
        digest = hmac.new(key.access_key_secret.encode(), text.encode(), hashlib.sha1).digest()
        signature = base64.b64encode(digest).decode()
        return {"OSSAccessKeyId": key.access_key_id, "policy": text, "Signature": signature, **session}
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(date or time.time()))
    scope = f"{stamp[:8]}/cn-beijing/oss/aliyun_v4_request"
    fields = {
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"{key.access_key_id}/{scope}",
        "x-oss-date": stamp,
    }
    policy["conditions"] = [*conditions, *({name: value} for name, value in fields.items())]
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    derived = b"aliyun_v4" + key.access_key_secret.encode()
    for part in scope.split("/"):
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()
    return {**fields, "policy": text, "x-oss-signature": signature, **session}


def post(server: Server, fields: dict[str, str], body: bytes = b"hello", **options: Any) -> requests.Response:
    files = {"file": (options.pop("filename", "录 音.wav"), body, options.pop("content_type", "audio/wav"))}
    url = f"{server.endpoint}/{BUCKET}/"
    return requests.post(url, data=fields, files=files, timeout=20, allow_redirects=False, **options)


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("session", [False, True], ids=["key", "session"])
def test_a_signed_form_creates_an_object(server: Server, bucket: oss2.Bucket, version: str, session: bool) -> None:
    key = server.account.open_session("role/browser") if session else server.account.root
    fields = {"key": KEY, "x-oss-meta-call": "c-1", **signed(key, [{"bucket": BUCKET}], version)}
    response = post(server, fields)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["ETag"] == f'"{hashlib.md5(b"hello").hexdigest().upper()}"'
    found = bucket.get_object(KEY)
    assert (found.read(), found.content_type, found.headers["x-oss-meta-call"]) == (b"hello", "audio/wav", "c-1")
    (event,) = server.events
    assert (event["eventName"], event["oss"]["object"]["key"]) == ("ObjectCreated:PostObject", KEY)
    principal = "role/browser" if session else server.account.account_id
    assert event["userIdentity"] == {"principalId": principal}


def form(server: Server, *conditions: Any, **fields: str) -> requests.Response:
    given = {"key": KEY, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return post(server, {**given, **signed(server.account.root, [["content-length-range", 0, 1000], *conditions])})


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"bucket": BUCKET}, True),
        ({"bucket": "other"}, False),
        (["eq", "$key", KEY], True),
        (["eq", "$key", "other"], False),
        (["starts-with", "$key", "in/"], True),
        (["starts-with", "$key", "out/"], False),
        (["eq", "$x-oss-meta-call", "1"], True),
        (["eq", "$x-oss-meta-none", "1"], False),
        (["in", "$content-type", ["audio/wav", "audio/mpeg"]], True),
        (["in", "$content-type", ["image/png"]], False),
        (["not-in", "$cache-control", ["no-cache"]], True),
        (["not-in", "$cache-control", ["no-store"]], False),
    ],
)
def test_every_condition_must_hold(server: Server, bucket: oss2.Bucket, condition: Any, holds: bool) -> None:
    given = {"content_type": "audio/wav", "cache_control": "no-store", "x_oss_meta_call": "1"}
    response = form(server, condition, **given)
    if holds:
        assert response.status_code == 204, response.text
    else:
        assert answer(response) == (403, "AccessDenied")
        assert "Policy Condition failed" in response.text
    assert bucket.object_exists(KEY) == holds


@pytest.mark.parametrize(
    ("low", "high", "status", "code"),
    [(5, 5, 204, ""), (0, 4, 400, "EntityTooLarge"), (6, 9, 400, "EntityTooSmall")],
)
def test_a_policy_bounds_the_size(server: Server, bucket: oss2.Bucket, low, high, status, code) -> None:
    assert answer(form(server, ["content-length-range", low, high])) == (status, code)
    assert bucket.object_exists(KEY) == (status == 204)


def test_a_policy_expires_with_the_clock(server: Server) -> None:
    fields = {"key": KEY, **signed(server.account.root, [{"bucket": BUCKET}])}
    server.clock.move(61)
    response = post(server, fields)
    assert answer(response) == (403, "AccessDenied")
    assert "Policy expired" in response.text


@pytest.mark.parametrize(("days", "status"), [(6, 204), (8, 403), (-1, 403)])
def test_a_v4_form_lives_seven_days_at_most(server: Server, days: int, status: int) -> None:
    date = time.time() - days * 86400
    fields = {"key": KEY, **signed(server.account.root, [{"bucket": BUCKET}], "v4", date=date)}
    assert post(server, fields).status_code == status


@pytest.mark.parametrize(
    "policy",
    [
        b"not json",
        b"[]",
        b"[" * 100_0,
        b'{"conditions": [{"bucket": "b"}]}',
        b'{"expiration": "tomorrow", "conditions": [{"bucket": "b"}]}',
        b'{"expiration": "2999-01-01T00:00:00Z", "conditions": []}',
        b'{"expiration": "2999-01-01T00:00:00Z", "conditions": [{"a": "b", "c": "d"}]}',
        b'{"expiration": "2999-01-01T00:00:00Z", "conditions": [["not-in", "$cache-control", "no-cache"]]}',
        b'{"expiration": "2999-01-01T00:00:00Z", "conditions": [["eq", "key", "no-dollar"]]}',
        b'{"expiration": "2999-01-01T00:00:00Z", "conditions": [["content-length-range", "0", 1]]}',
    ],
)
def test_a_policy_that_is_none_is_refused(server: Server, policy: bytes) -> None:
    root = server.account.root
    text = base64.b64encode(policy).decode()
    fields = {"OSSAccessKeyId": root.access_key_id, "policy": text}
    fields["Signature"] = signatures.v1_signature(root.access_key_secret, text)
    assert answer(post(server, {"key": KEY, **fields})) == (400, "InvalidPolicyDocument")


def test_who_may_not_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    root = server.account.root
    session = server.account.open_session("a", life_seconds=900)
    good = signed(root, [{"bucket": BUCKET}])
    v4 = signed(root, [{"bucket": BUCKET}], "v4")
    refusals = {
        (403, "AccessDenied"): [{}],
        (400, "InvalidArgument"): [
            {name: value for name, value in good.items() if name != missing} for missing in good
        ] + [{name: value for name, value in v4.items() if name != missing} for missing in ("policy", "x-oss-date")],
        (403, "SignatureDoesNotMatch"): [
            {**good, "Signature": "AAAA"},
            {**good, "policy": good["policy"][:-4] + "fQ=="},
            {**v4, "x-oss-signature": "0" * 64},
            signed(AccessKey(root.access_key_id, "wrong"), [{"bucket": BUCKET}]),
        ],
        (403, "InvalidAccessKeyId"): [
            signed(AccessKey("LTAInobody", "x"), [{"bucket": BUCKET}]),
            signed(AccessKey(session.access_key_id, session.access_key_secret), [{"bucket": BUCKET}]),
        ],
        (403, "InvalidSecurityToken"): [
            {**signed(session, [{"bucket": BUCKET}]), "x-oss-security-token": "CAISother"},
        ],
    }  # fmt: skip
    for expected, forms in refusals.items():
        for fields in forms:
            assert answer(post(server, {"key": KEY, **fields})) == expected
    fields = signed(session, [{"bucket": BUCKET}], life=3600)
    server.clock.move(901)
    assert answer(post(server, {"key": KEY, **fields})) == (403, "SecurityTokenExpired")
    assert not bucket.object_exists(KEY)
    assert server.events == []


def test_the_files_name_goes_into_the_key_without_its_path(server: Server, bucket: oss2.Bucket) -> None:
    fields = {"key": "u/${filename}", **signed(server.account.root, [["starts-with", "$key", "u/"]])}
    for filename in ("录 音+%20.wav", "C:\\docs\\录 音+%20.wav", "a/b/录 音+%20.wav"):
        assert post(server, fields, filename=filename).status_code == 204
    assert [found.key for found in oss2.ObjectIterator(bucket)] == ["u/录 音+%20.wav"]


def test_success_is_answered_as_the_form_wishes(server: Server) -> None:
    assert form(server, success_action_status="200").status_code == 204  # the field's name has underscores
    base = {"key": KEY, **signed(server.account.root, [{"bucket": BUCKET}])}
    for asked, status in (("200", 200), ("201", 201), ("204", 204), ("302", 204)):
        response = post(server, {**base, "success_action_status": asked})
        assert response.status_code == status
        assert ("<PostResponse>" in response.text) == (status == 201)
    response = post(server, {**base, "success_action_redirect": "https://example.com/done?a=1"})
    assert (response.status_code, response.headers["Location"]) == (303, "https://example.com/done?a=1")
    assert post(server, {**base, "success_action_redirect": "javascript:alert(1)"}).status_code == 204


def test_a_form_may_forbid_to_overwrite(server: Server, bucket: oss2.Bucket) -> None:
    assert form(server, x_oss_forbid_overwrite="true").status_code == 204
    assert answer(form(server, x_oss_forbid_overwrite="true")) == (409, "FileAlreadyExists")
    assert answer(form(server, x_oss_forbid_overwrite="maybe")) == (400, "InvalidArgument")
    assert len(server.events) == 1


def test_the_type_named_for_the_object_comes_first(server: Server, bucket: oss2.Bucket) -> None:
    form(server, x_oss_content_type="audio/mpeg", content_type="text/plain")
    assert bucket.head_object(KEY).content_type == "audio/mpeg"


def test_what_a_form_can_not_do_here_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    for field, value in (
        ("callback", "e30="),
        ("x-oss-object-acl", "public-read"),
        ("x-oss-server-side-encryption", "a"),
    ):
        assert answer(form(server, **{field: value})) == (501, "NotImplemented")
    assert not bucket.object_exists(KEY)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"hello"),
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"hello"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 20_000),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nv'),
    ],
)
def test_a_body_that_is_no_form_is_refused(server: Server, content_type: str, body: bytes) -> None:
    headers = {"Content-Type": content_type}
    response = requests.post(f"{server.endpoint}/{BUCKET}/", data=body, headers=headers, timeout=10)
    assert answer(response) == (400, "MalformedPOSTRequest")


def test_a_form_needs_a_key_and_a_file_last(server: Server, bucket: oss2.Bucket) -> None:
    fields = signed(server.account.root, [{"bucket": BUCKET}])
    assert answer(post(server, fields)) == (400, "InvalidArgument")
    without = {name: (None, value) for name, value in {"key": KEY, **fields}.items()}
    url = f"{server.endpoint}/{BUCKET}/"
    assert answer(requests.post(url, files=without, timeout=10)) == (400, "InvalidArgument")
    late = {"key": (None, KEY), "file": ("a", b"x"), **{name: (None, value) for name, value in fields.items()}}
    assert answer(requests.post(url, files=late, timeout=10)) == (403, "AccessDenied")
    assert answer(form(server, x_oss_meta_long="x" * 9000)) == (400, "FieldItemTooLong")
    assert not bucket.object_exists(KEY)


def test_a_form_that_breaks_off_creates_nothing(server: Server, bucket: oss2.Bucket) -> None:
    fields = {"key": KEY, **signed(server.account.root, [{"bucket": BUCKET}])}
    request = requests.Request("POST", server.endpoint, data=fields, files={"file": ("a", b"x" * 1000)}).prepare()
    assert isinstance(request.body, bytes)
    headers = {"Content-Type": request.headers["Content-Type"]}
    response = requests.post(f"{server.endpoint}/{BUCKET}", data=request.body[:-20], headers=headers, timeout=10)
    assert answer(response) == (400, "MalformedPOSTRequest")
    assert not bucket.object_exists(KEY)
    assert not list((server.root / "blobs" / "incoming").iterdir())


def test_a_large_file_is_streamed_and_bounded(server: Server, bucket: oss2.Bucket) -> None:
    fields = {"key": KEY, **signed(server.account.root, [{"bucket": BUCKET}])}
    assert post(server, fields, b"\r\n--x" * 800_000).status_code == 204
    assert bucket.get_object(KEY).read() == b"\r\n--x" * 800_000
    response = post(server, fields, b"x" * (MAX_OBJECT_BYTES + 1))
    assert answer(response) == (400, "EntityTooLarge")
