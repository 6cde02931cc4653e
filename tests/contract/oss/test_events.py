"""Object-created events: one for each commit, after it, in OSS's native shape."""

from __future__ import annotations

import re

import oss2
import pytest

from .conftest import BUCKET, Server, v4


def test_a_put_tells_what_was_created(server: Server, bucket: oss2.Bucket) -> None:
    result = bucket.put_object(
        "in/2024/录音 1+%20.wav", b"hello", headers={"Content-Type": "audio/wav", "x-oss-meta-callid": "c-1"}
    )
    (record,) = server.events
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("eventTime"))
    assert record == {
        "eventName": "ObjectCreated:PutObject",
        "eventSource": "acs:oss",
        "eventVersion": "1.0",
        "oss": {
            "bucket": {
                "arn": f"acs:oss:cn-beijing:{server.account.account_id}:{BUCKET}",
                "name": BUCKET,
                "ownerIdentity": server.account.account_id,
                "virtualBucket": "",
            },
            "object": {
                "deltaSize": 5,
                "eTag": "5D41402ABC4B2A76B9719D911017C592",
                "key": "in/2024/录音 1+%20.wav",
                "objectMeta": {"mimeType": "audio/wav", "userMeta": {"x-oss-meta-callid": "c-1"}},
                "size": 5,
            },
            "ossSchemaVersion": "1.0",
            "ruleId": "",
        },
        "region": "cn-beijing",
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"requestId": result.request_id},
        "userIdentity": {"principalId": server.account.account_id},
    }


def test_copies_and_appends_tell_too(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("a", b"hello")
    bucket.copy_object(BUCKET, "a", "b")
    bucket.put_object("a", b"hi")
    bucket.append_object("j", 0, b"abc")
    bucket.append_object("j", 3, b"de")
    records = server.events
    assert [record["eventName"].removeprefix("ObjectCreated:") for record in records] == [
        "PutObject", "CopyObject", "PutObject", "AppendObject", "AppendObject",
    ]  # fmt: skip
    things = [record["oss"]["object"] for record in records]
    assert [thing["key"] for thing in things] == ["a", "b", "a", "j", "j"]
    assert [thing["size"] for thing in things] == [5, 5, 2, 3, 5]
    assert [thing["deltaSize"] for thing in things] == [5, 5, -3, 3, 2]
    assert [thing.get("position") for thing in things] == [None, None, None, 0, 3]


def test_a_session_is_named_as_the_principal(server: Server) -> None:
    server.bucket(v4(server.account.open_session("role/functions"))).put_object("k", b"")
    assert server.events[0]["userIdentity"] == {"principalId": "role/functions"}


def test_what_was_not_committed_is_not_told(server: Server, bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"hello")
    bucket.append_object("j", 0, b"a")
    server.events.clear()
    for call in (
        lambda: bucket.put_object("k", b"x", headers={"x-oss-forbid-overwrite": "true"}),
        lambda: bucket.put_object("k", b"x", headers={"Content-MD5": oss2.utils.content_md5(b"y")}),
        lambda: bucket.append_object("j", 0, b"x"),
        lambda: bucket.append_object("k", 5, b"x"),
        lambda: bucket.copy_object(BUCKET, "none", "b"),
        lambda: server.bucket(name="no-bucket").put_object("k", b"x"),
    ):
        with pytest.raises(oss2.exceptions.ServerError):
            call()
    bucket.get_object("k").read()
    bucket.delete_object("k")
    assert server.events == []
