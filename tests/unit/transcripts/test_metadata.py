"""What is said of a call: by precedence, checked and cut; roles and headerless sound by the tenant's rule alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.transcripts.headless import is_headless
from functions.transcripts.job import job_id
from functions.transcripts.source import MAX_SIDECAR_BYTES, known, of_object
from isikit.audio import g711
from isikit.audio.probe import decode, measure
from isikit.journal import MAX_RECORD_BYTES
from isikit.tenants import Source
from unit.transcripts.scene import BUCKET, Scene, etag_of, event_of, mono, speech, stereo

KEY = "in/acme/line 1/call.wav"
PLACE = "transcripts/acme/line 1/call.wav.json"
CALL = mono(speech(1000))
TWO = stereo(speech(1000), speech(1000, 700))
WHOLE = {
    "call-id": "%E7%94%B5%E8%AF%9D%201",
    "segment": "2",
    "agent": "%E7%8E%8B%E8%8A%B3 7",
    "queue": "billing",
    "direction": "inbound",
    "started-at": "2026-03-01T08:30:00+08:00",
}
READ = {
    "segment": "2",
    "agent": "王芳 7",
    "queue": "billing",
    "direction": "inbound",
    "started_at": "2026-03-01T08:30:00+08:00",
}


def sidecar(scene: Scene, said: object, key: str = KEY) -> None:
    scene._place(scene.recordings, f"{key}.json", said if isinstance(said, bytes) else json.dumps(said).encode())


async def document(scene: Scene, data: bytes = CALL, metadata: dict[str, str] | None = None) -> dict[str, Any]:
    await scene.deliver(scene.upload(KEY, data, metadata))
    told: dict[str, Any] = json.loads(scene.read(PLACE))
    return told


async def test_an_upload_slots_metadata_is_in_the_transcript_decoded() -> None:
    told = await document(Scene(), metadata=WHOLE)
    assert (told["call_id"], told["metadata"]) == ("电话 1", READ)


async def test_an_older_event_without_metadata_has_the_object_asked() -> None:
    scene = Scene()
    scene.upload(KEY, CALL, WHOLE)
    await scene.deliver(event_of(KEY, etag_of(CALL), len(CALL)))
    assert scene.job(KEY, CALL).metadata == READ


async def test_a_sidecar_goes_before_the_object_value_by_value() -> None:
    scene = Scene()
    sidecar(scene, {"call_id": "from the sidecar", "queue": "sales", "agent": "", "direction": "sideways", "more": 1})
    told = await document(scene, metadata=WHOLE)
    assert told["call_id"] == "from the sidecar"
    assert told["metadata"] == {**READ, "queue": "sales"}
    assert len(scene.keys("index/call/")) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"call_id": ' + b" " * MAX_SIDECAR_BYTES + b'"c"}',
        {"call_id": ["c"], "agent": {"a": 1}, "queue": 7},
        {"call_id": "c" * 257, "agent": "a" * 129, "queue": "one\ntwo", "started_at": "yesterday", "direction": "up"},
        {"started_at": "2026-03-01T08:30:00"},
        {"started_at": "2026-03-01\n08:30:00+08:00"},
        {"started_at": "2026-W09-7T08:30:00+08:00"},
    ],
    ids=["text", "no utf-8", "deep", "list", "large", "types", "values", "no offset", "two lines", "week"],
)
async def test_a_hostile_sidecar_says_nothing_and_harms_nothing(said: object) -> None:
    scene = Scene()
    sidecar(scene, said)
    told = await document(scene)
    assert (told["call_id"], told["metadata"]) == (None, {})


async def test_a_sidecars_own_event_opens_no_job() -> None:
    scene = Scene()
    answer = await scene.deliver(scene.upload(f"{KEY}.json", b"{}"))
    assert answer == {"jobs": [], "skipped": 1}
    assert scene.keys("jobs/") == []


async def test_the_longest_of_everything_still_fits_into_a_record() -> None:
    scene = Scene()
    key = "in/acme/" + "\x01" * 1000
    said = {"call_id": "电" * 256, "segment": "电" * 128, "agent": '"' * 128, "queue": "电" * 128}
    sidecar(scene, said, key)
    await scene.deliver(scene.upload(key, CALL))
    lines = scene.state.objects[f"jobs/{job_id(BUCKET, key, etag_of(CALL))}.jsonl"].data.splitlines()
    assert max(map(len, lines)) < MAX_RECORD_BYTES


def test_percent_signs_of_senders_who_encode_nothing_are_left() -> None:
    assert known(of_object({"queue": "100% sure", "agent": "  "})) == {"queue": "100% sure"}


RULE = {"prefix": "line 1/", "channel_roles": {"0": "agent", "1": "customer"}}


async def test_roles_come_from_the_tenants_rule_and_say_so() -> None:
    scene = Scene()
    scene.tenants((RULE,), acme={8000: "narrow"})
    told = await document(scene, TWO)
    assert told["role_source"] == "channel_roles"
    assert {(turn["channel"], turn["role"]) for turn in told["turns"]} == {(0, "agent"), (1, "customer")}


async def test_without_a_rule_nobody_guesses_who_speaks() -> None:
    told = await document(Scene(), TWO)
    assert told["role_source"] is None
    assert all("role" not in turn for turn in told["turns"])


async def test_where_both_sides_hold_the_same_sound_neither_has_a_role() -> None:
    scene = Scene()
    scene.tenants((RULE,), acme={8000: "narrow"})
    told = await document(scene, stereo(speech(1000), speech(1000)))
    assert told["role_source"] is None
    assert all("role" not in turn for turn in told["turns"])


async def test_a_file_that_the_service_had_for_hours_has_its_roles_too() -> None:
    scene = Scene()
    scene.tenants(({**RULE, "mode": "file"},), acme={8000: "narrow"})
    service = scene.with_queue()
    await scene.deliver(scene.upload(KEY, TWO))
    service.end("one", "two")
    await scene.call_back(service.orders[0])
    told = json.loads(scene.read(PLACE))
    assert [turn["role"] for turn in told["turns"]] == ["agent", "customer"]


@pytest.mark.parametrize("codec", ["mulaw", "alaw"])
async def test_headerless_g711_is_read_by_the_rule_of_its_source(codec: str) -> None:
    scene = Scene()
    scene.tenants(({"prefix": "line 1/", "codec": codec},), acme={8000: "narrow", 16000: "wide"})
    scene.decode = lambda data, rate_hz, limits: decode(data, rate_hz=rate_hz, limits=limits)
    raw = {"mulaw": g711.encode_mulaw, "alaw": g711.encode_alaw}[codec](speech(1000))
    told = await document(scene, raw)
    assert (told["duration_ms"], told["sample_rate_hz"], told["turns"][0]["text"]) == (1000, 8000, "text 1")
    assert scene.recognise.calls == [(8000, "narrow")]


async def test_headerless_sound_goes_to_the_queue_with_a_header() -> None:
    scene = Scene()
    scene.tenants(({"prefix": "line 1/", "codec": "mulaw", "mode": "file"},), acme={8000: "narrow"})
    service = scene.with_queue()
    raw = g711.encode_mulaw(speech(2000))
    await scene.deliver(scene.upload(KEY, raw))
    (copy,) = [key for key in scene.state.objects if key.startswith("work/")]
    heard = await measure(scene.state.objects[copy].data)
    assert (heard.codec, heard.duration_ms, heard.source_rate_hz) == ("pcm_mulaw", 2000, 8000)
    assert len(service.orders) == 1


async def test_without_a_rule_headerless_sound_is_quarantined() -> None:
    scene = Scene()
    scene.decode = lambda data, rate_hz, limits: decode(data, rate_hz=rate_hz, limits=limits)
    raw = g711.encode_mulaw(speech(1000))
    await scene.deliver(scene.upload(KEY, raw))
    assert scene.keys("quarantine/")


def test_what_has_a_header_is_read_by_it_and_a_loud_sample_is_no_header() -> None:
    rule = Source(prefix="", codec="mulaw")
    assert not is_headless(CALL, rule)
    assert not is_headless(b"ID3" + bytes(64), rule)
    assert is_headless(b"\xff\xfb\x90\x00" + bytes(60), rule)
    assert not is_headless(g711.encode_mulaw(speech(100)), Source(prefix=""))
