"""Events of every shape, as their senders document them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.transcripts.events import Created, EventUnreadable, Objects, Timer, parse, why_skipped
from unit.transcripts.scene import EVENTS, event_of

ETAG = "688A7BF4F233DC9C88A80BF985AB7329"
SECOND = "0CC175B9C0F1B6A831C399E269772661"
AT = 1778051289.0
UPLOAD = "58F9FF2D3DF792092E12044C"
A = Created("recordings", "in/acme/a.wav", ETAG, 122539, None, AT, UPLOAD)
B = Created("recordings", "in/acme/b.mp3", SECOND, 4096, None, AT, UPLOAD)


def parsed(name: str) -> Objects:
    found = parse((EVENTS / f"{name}.json").read_bytes())
    assert isinstance(found, Objects)
    return found


def test_a_key_is_used_as_it_comes_with_chinese_space_plus_and_percent() -> None:
    (created,) = parsed("oss-put-chinese-space-plus").created
    assert created == Created(
        "recordings", "in/acme/2026/录音 1+2%20.wav", ETAG, 122539, {"call-id": "c-1", "queue": "billing"}, AT, UPLOAD
    )


@pytest.mark.parametrize(
    ("told", "uploaded_at"),
    [
        ("2026-05-06T07:08:09.000Z", AT),
        ("2026-05-06T07:08:09.250Z", AT + 0.25),
        ("2026-05-06T15:08:09+08:00", AT),
        ("2026-05-06T07:08:09", AT),
        ("yesterday", None),
        ("", None),
        (AT, None),
        (None, None),
        ({"at": 1}, None),
        ("9999-12-31T23:59:59-23:00", 253402383599.0),
    ],
)
def test_the_time_of_the_upload_is_read_where_it_is_one(told: object, uploaded_at: float | None) -> None:
    event = json.loads((EVENTS / "oss-put-without-metadata.json").read_text())
    event["events"][0]["eventTime"] = told
    found = parse(json.dumps(event).encode())
    assert isinstance(found, Objects)
    assert found.created[0].uploaded_at == uploaded_at


@pytest.mark.parametrize("told", [None, 3, [], {}, {"requestId": 3}, {"requestId": "a b"}, {"requestId": "A" * 65}])
def test_what_is_no_request_id_is_none(told: object) -> None:
    event = json.loads((EVENTS / "oss-put-without-metadata.json").read_text())
    event["events"][0]["responseElements"] = told
    found = parse(json.dumps(event).encode())
    assert isinstance(found, Objects)
    assert found.created[0].request_id == ""


def test_an_older_event_carries_no_metadata() -> None:
    assert parsed("oss-put-without-metadata").created == (A,)


def test_every_record_of_a_list_counts() -> None:
    assert [created.key for created in parsed("oss-two-events").created] == ["in/acme/a.wav", "in/acme/b.mp3"]


def test_an_etag_of_a_multipart_upload_is_kept_whole() -> None:
    (created,) = parsed("oss-multipart").created
    assert created.etag == "7F6A33C1B1C2A9F4E0A4D4A2C2B2E1D0-3"


@pytest.mark.parametrize("name", ["oss-multipart-part", "oss-removed"])
def test_what_leaves_no_whole_new_object_behind_is_counted_and_left_out(name: str) -> None:
    assert parsed(name) == Objects(other_kinds=1)


def test_a_bad_record_does_not_hide_the_others() -> None:
    found = parsed("oss-one-bad-of-two")
    assert [created.key for created in found.created] == ["in/acme/b.mp3"]
    assert len(found.unreadable) == 1


def test_a_cloudevent_is_read_from_its_data() -> None:
    (created,) = parsed("eventbridge-cloudevent").created
    assert (created.key, created.etag, created.metadata) == ("in/acme/a.wav", ETAG, {"call-id": "c-2"})


def test_an_array_of_cloudevents_is_read_one_by_one() -> None:
    assert parsed("eventbridge-array").created == (A, B)


def test_raw_data_of_eventbridge_is_a_record_without_envelope() -> None:
    assert parsed("eventbridge-rawdata").created == (A,)


def test_a_timer_is_told_from_objects() -> None:
    assert parse((EVENTS / "timer.json").read_bytes()) == Timer()


@pytest.mark.parametrize(
    "event",
    [
        *(b"", b"not json", b"{}", b'"text"', b"3", b"null", b'{"events": 3}', b"\xff", b"9" * 5000),
        *(b"[" * 100_000, b'{"data":' * 100_000),
    ],
    ids=lambda event: ascii(event[:12]),
)
def test_an_event_of_no_known_shape_is_refused(event: bytes) -> None:
    with pytest.raises(EventUnreadable):
        parse(event)


@pytest.mark.parametrize(
    "change",
    [
        {"key": ""},
        {"eTag": ""},
        {"eTag": '""'},
        {"key": 3},
        {"key": "in/acme/\ud800.wav"},
        {"size": "many"},
        {"objectMeta": {"userMeta": {"a": 1}}},
        {"key": "in/acme/" + "x" * 1016},
        {"key": "in/acme/" + "录" * 339},
        {"key": None},
        {"key": ["in/acme/a.wav"]},
        {"eTag": "é"},
        {"eTag": "A\n"},
        {"eTag": "A" * 65},
        {"eTag": "\udfff"},
        {"size": -1},
        {"size": 2**70},
        {"size": float("nan")},
    ],
)
def test_a_record_without_a_usable_name_or_version_is_unreadable(change: dict[str, Any]) -> None:
    event = json.loads((EVENTS / "oss-put-without-metadata.json").read_text())
    event["events"][0]["oss"]["object"].update(change)
    found = parse(json.dumps(event).encode())
    assert isinstance(found, Objects)
    assert (len(found.created), len(found.unreadable)) == (0, 1)


@pytest.mark.parametrize(
    "record", [None, 3, "text", [], {}, {"eventName": 3}, {"eventName": "ObjectCreated:PutObject"}]
)
def test_what_is_no_record_is_unreadable(record: object) -> None:
    found = parse(json.dumps({"events": [record]}).encode())
    assert isinstance(found, Objects)
    assert (len(found.created), found.other_kinds, len(found.unreadable)) == (0, 0, 1)


def test_a_record_nested_too_deeply_does_not_hide_the_others() -> None:
    good = json.loads((EVENTS / "oss-put-without-metadata.json").read_text())["events"][0]
    for depth in (100, 500, 900):
        deep = json.dumps(good)[:-1] + ', "eventTime": ' + "[" * depth + "]" * depth + "}"
        found = parse(f'{{"events": [{deep}, {json.dumps(good)}]}}'.encode())
        assert isinstance(found, Objects)
        assert len(found.created) >= 1


def test_an_etag_in_quotes_and_lower_case_is_the_same_etag() -> None:
    found = parse(event_of("in/acme/a.wav", f'"{ETAG.lower()}"', 1))
    assert isinstance(found, Objects)
    assert found.created[0].etag == ETAG


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("oss-other-bucket", "event.other_bucket"),
        ("oss-folder", "event.folder"),
        ("oss-own-output", "event.own_output"),
        ("oss-two-events", None),
        ("oss-zero-bytes", None),
    ],
)
def test_only_recordings_get_a_job(name: str, reason: str | None) -> None:
    assert why_skipped(parsed(name).created[0], "recordings") == reason


@pytest.mark.parametrize("key", ["a.wav", "out/acme/a.wav", "quarantine/acme/a.wav", "/in/acme/a.wav"])
def test_what_does_not_lie_under_in_gets_no_job(key: str) -> None:
    assert why_skipped(Created("recordings", key, ETAG), "recordings") is not None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_a_key_and_comes_through_unchanged(key: str) -> None:
    found = parse(event_of(key, ETAG, 1))
    assert isinstance(found, Objects)
    assert found.created[0].key == key
