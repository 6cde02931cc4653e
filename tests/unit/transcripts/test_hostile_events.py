"""Whatever an event's fields hold, there is a clear outcome: a job that ends, or an event refused as unreadable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.transcripts.events import EventUnreadable
from functions.transcripts.job_records import fold
from isikit.errors import DeadlineExceeded
from unit.transcripts.scene import EVENTS, Scene, etag_of, event_of, mono, speech

CALL = mono(speech(300))
RECORD: dict[str, Any] = json.loads((EVENTS / "oss-put-without-metadata.json").read_text())["events"][0]


def event_with(*paths: tuple[str, object], records: int = 1) -> bytes:
    """The sample's record with values put at dotted paths, so many times."""
    record = json.loads(json.dumps(RECORD))
    for path, value in paths:
        *parents, last = path.split(".")
        inner = record
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return json.dumps({"events": [record] * records}).encode()


@pytest.mark.parametrize(
    "key",
    [
        "in/acme/a\nb\r\n\t.wav",
        "in/acme/../other/a.wav",
        "in/acme/./a.wav",
        "in/acme/..",
        "in/acme//a.wav",
        "in/../../a.wav",
        "in/acme/\\a?b#c%00&d=e;f.wav",
        "in/acme/" + "\x01" * 1015,
        "in/acme/" + "x" * 1015,
        "in/acme/\u202e\u200b\ufeff.wav",
    ],
)
async def test_any_key_that_storage_takes_ends_in_an_outcome_of_its_own(key: str) -> None:
    scene = Scene()
    await scene.deliver(scene.upload(key, CALL, {"call-id": "c" * 256}))
    assert scene.job(key, CALL).latest.published
    assert scene.keys("open/") == []
    assert all("/" + key.removeprefix("in/") in place for place in scene.recordings.objects if place != key)


@pytest.mark.parametrize(
    "change",
    [
        ("oss.object.key", "in/acme/" + "x" * 1100),
        ("oss.object.key", "in/acme/\udc80.wav"),
        ("oss.object.size", -1),
        ("oss.object.eTag", {"a": 1}),
        ("oss.object", None),
        ("oss.bucket", "recordings"),
        ("eventName", ["ObjectCreated:PutObject"]),
    ],
)
async def test_a_field_that_cannot_be_makes_the_event_unreadable_and_leaves_nothing(change: tuple[str, object]) -> None:
    scene = Scene()
    with pytest.raises(EventUnreadable):
        await scene.deliver(event_with(change))
    assert scene.keys("jobs/") == scene.keys("open/") == []


@pytest.mark.parametrize("call_id", ["\ud800", "a\nb", "\x00", " ", "x" * 257, "\u2028"])
async def test_a_call_id_that_is_no_line_of_text_is_none(call_id: str) -> None:
    scene = Scene()
    scene.upload("in/acme/a.wav", CALL)
    await scene.deliver(event_of("in/acme/a.wav", etag_of(CALL), 1, {"x-oss-meta-call-id": call_id}))
    assert scene.job("in/acme/a.wav", CALL).call_id is None
    assert scene.job("in/acme/a.wav", CALL).latest.placed


async def test_ten_thousand_records_of_one_upload_are_one_job() -> None:
    scene = Scene()
    scene.upload("in/acme/a.wav", CALL)
    event = event_with(("oss.object.key", "in/acme/a.wav"), ("oss.object.eTag", etag_of(CALL)), records=10_000)
    answer = await scene.deliver(event)
    assert {job["outcome"] for job in answer["jobs"]} == {"ended"}
    assert len(scene.keys("jobs/")) == 1
    assert len(scene.recognise.calls) == 1


async def test_ten_thousand_unreadable_records_are_one_refusal() -> None:
    scene = Scene()
    with pytest.raises(EventUnreadable):
        await scene.deliver(json.dumps({"events": [None] * 10_000}).encode())


async def test_more_recordings_than_there_is_time_for_are_asked_for_again_before_time_is_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = Scene()
    with pytest.raises(DeadlineExceeded):
        await scene.deliver(event_with(records=10_000), seconds=-1.0)
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["count"]) == ("job.postponed", 10_000)
    assert scene.state.calls.total() == 0


def leaves(value: Any, path: str = "") -> list[str]:
    """Every path in a record."""
    inner = value.items() if isinstance(value, dict) else []
    return [each for name, below in inner for each in (f"{path}{name}", *leaves(below, f"{path}{name}."))]


anything = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=20)),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(leaves(RECORD)), anything)
@settings(max_examples=300, deadline=None)
async def test_any_value_anywhere_in_a_record_ends_in_a_job_or_is_refused(path: str, value: object) -> None:
    scene = Scene()
    try:
        answer = await scene.deliver(event_with((path, value)))
    except EventUnreadable:
        assert scene.keys("jobs/") == []
        return
    assert len(answer["jobs"]) + answer["skipped"] == 1
    for journal in scene.keys("jobs/"):
        job = fold([json.loads(line) for line in scene.state.objects[journal].data.splitlines()])
        assert job is not None
        assert job.latest.published
