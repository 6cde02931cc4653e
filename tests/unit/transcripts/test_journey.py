"""A recording from its event to its transcript, when all goes well, and when the recording is no good."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from functions.transcripts import hearing, report
from functions.transcripts.events import EventUnreadable
from isikit.audio.probe import Decoded, Limits
from isikit.errors import AudioError, SpeechAudioRefused, SpeechError
from unit.transcripts.scene import (
    EVENTS,
    RATE_HZ,
    Scene,
    etag_of,
    event_of,
    mono,
    silence,
    speech,
    stereo,
)

KEY = "in/acme/2026/录音 1+2%20.wav"
PLACE = "transcripts/acme/2026/录音 1+2%20.wav"
CALL = mono(silence(500) + speech(2000) + silence(500))


async def transcript_of(data: bytes, *, scene: Scene | None = None) -> dict[str, Any]:
    scene = scene or Scene()
    await scene.deliver(scene.upload(KEY, data))
    document: dict[str, Any] = json.loads(scene.read(f"{PLACE}.json"))
    return document


async def verdict_of(scene: Scene, data: bytes, key: str = KEY) -> tuple[str, str | None]:
    await scene.deliver(scene.upload(key, data))
    terminal = scene.job(key, data).latest.terminal
    assert terminal is not None
    assert scene.job(key, data).latest.published
    return terminal.verdict.state, terminal.verdict.reason


async def test_a_recording_becomes_four_files_beside_its_own_path_and_again_under_its_generation() -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, CALL))
    name = "录音 1+2%20.wav"
    expected = [f"{PLACE}{kind}" for kind in (".json", ".srt", ".txt", ".vtt")]
    assert scene.keys("transcripts/") == sorted(
        [*expected, *(f"{PLACE}/g1/{name}.{k}" for k in ("json", "srt", "txt", "vtt"))]
    )


async def test_the_json_says_what_was_said_when_and_how_it_was_found_out() -> None:
    scene = Scene()
    scene.recognise.texts = ["你好。"]
    await scene.deliver(scene.upload(KEY, CALL, {"call-id": "c-1"}))
    document = json.loads(scene.read(f"{PLACE}.json"))
    assert document["schema"] == "transcript/1"
    assert document["text"] == "你好。"
    assert document["turns"] == [{"start_ms": 300, "end_ms": 2700, "channel": 0, "text": "你好。"}]
    assert (document["bucket"], document["key"], document["call_id"]) == ("recordings", KEY, "c-1")
    assert (document["generation"], document["mode"], document["duration_ms"]) == (1, "sentence", 3000)
    assert (document["channels"], document["layout"]) == (1, "mono")
    assert len(document["config_digest"]) == 64


async def test_the_other_files_hold_the_same_text() -> None:
    scene = Scene()
    scene.recognise.texts = ["hello"]
    await scene.deliver(scene.upload(KEY, CALL))
    assert scene.read(f"{PLACE}.txt") == "hello\n"
    assert scene.read(f"{PLACE}.srt") == "1\n00:00:00,300 --> 00:00:02,700\nhello\n\n"
    assert scene.read(f"{PLACE}.vtt") == "WEBVTT\n\n00:00:00.300 --> 00:00:02.700\nhello\n\n"


async def test_published_files_have_their_types_and_digests() -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, CALL))
    types = {kind: scene.recordings.objects[f"{PLACE}.{kind}"].content_type for kind in ("json", "txt", "srt", "vtt")}
    assert types == {
        "json": "application/json",
        "txt": "text/plain; charset=utf-8",
        "srt": "application/x-subrip",
        "vtt": "text/vtt; charset=utf-8",
    }
    assert all("sha256" in scene.recordings.objects[key].metadata for key in scene.keys("transcripts/"))


async def test_nothing_is_left_open() -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, CALL))
    assert scene.keys("open/") == []


async def test_a_job_is_open_while_it_is_worked_on() -> None:
    scene = Scene()
    seen: list[str] = []

    async def look() -> None:
        seen.extend(scene.keys("open/"))

    scene.recognise.before = look
    await scene.deliver(scene.upload(KEY, CALL))
    job = scene.job(KEY, CALL)
    assert seen == [f"open/{job.id[0]}/20231114T22-{job.id}"]


async def test_turns_of_two_sides_are_put_together_by_time() -> None:
    left = speech(1000) + silence(3000)
    right = silence(2000) + speech(1000, 330) + silence(1000)
    document = await transcript_of(stereo(left, right))
    assert [(turn["channel"], turn["start_ms"]) for turn in document["turns"]] == [(0, 0), (1, 1800)]
    assert (document["channels"], document["layout"]) == (2, "two_sides")


async def test_one_sound_on_both_sides_is_paid_once() -> None:
    scene = Scene()
    document = await transcript_of(stereo(speech(2000), speech(2000)), scene=scene)
    assert len(scene.recognise.calls) == 1
    assert (document["channels"], document["layout"]) == (2, "same_on_both_sides")


async def test_a_silent_side_is_not_paid() -> None:
    scene = Scene()
    document = await transcript_of(stereo(silence(2000), speech(2000)), scene=scene)
    assert len(scene.recognise.calls) == 1
    assert [turn["channel"] for turn in document["turns"]] == [1]
    assert document["layout"] == "one_side_silent"


async def test_a_recording_without_speech_is_done_with_empty_and_valid_files() -> None:
    scene = Scene()
    document = await transcript_of(mono(silence(3000)), scene=scene)
    assert (document["turns"], document["text"]) == ([], "")
    assert scene.read(f"{PLACE}.vtt").startswith("WEBVTT")
    assert (scene.read(f"{PLACE}.srt"), scene.read(f"{PLACE}.txt")) == ("", "")
    assert scene.recognise.calls == []


async def test_a_piece_in_which_the_service_hears_no_speech_is_no_turn() -> None:
    scene = Scene()
    scene.recognise.errors = [SpeechAudioRefused(code="nls.no_speech")]
    document = await transcript_of(CALL, scene=scene)
    assert document["turns"] == []


async def test_a_long_recording_is_cut_at_its_pauses_and_put_together_in_order() -> None:
    scene = Scene()
    document = await transcript_of(mono((speech(16_000) + silence(600)) * 4), scene=scene)
    assert [turn["text"] for turn in document["turns"]] == ["text 1", "text 2", "text 3", "text 4"]
    assert [turn["start_ms"] for turn in document["turns"]] == [0, 16_400, 33_000, 49_600]


async def test_no_turn_ends_after_its_recording() -> None:
    document = await transcript_of(mono(speech(2000) + speech(1)[:6]))
    assert document["turns"][-1]["end_ms"] == document["duration_ms"] == 2000


async def test_no_more_calls_are_made_at_once_than_there_are_places() -> None:
    scene = Scene()
    scene.places = 2

    async def others_first() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    scene.recognise.before = others_first
    await scene.deliver(scene.upload(KEY, mono((speech(16_000) + silence(600)) * 5)))
    assert scene.recognise.most_at_once == 2


@pytest.mark.parametrize(("rate_hz", "appkey"), [(8000, "narrow"), (16000, "wide")])
async def test_the_appkey_is_the_one_for_the_recordings_rate(rate_hz: int, appkey: str) -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, mono(speech(1000, rate_hz=rate_hz), rate_hz)))
    assert scene.recognise.calls == [(rate_hz, appkey)]


@pytest.mark.parametrize(
    ("rates", "asked"), [({8000: "n"}, 8000), ({16000: "w"}, 16000), ({8000: "n", 16000: "w"}, None)]
)
async def test_where_there_is_one_appkey_only_everything_is_decoded_to_its_rate(
    rates: dict[int, str], asked: int | None
) -> None:
    scene = Scene()
    scene.tenants(acme=rates)
    seen: list[int | None] = []

    async def decode(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
        seen.append(rate_hz)
        return Decoded([speech(1000)], rate_hz or RATE_HZ, 1000, "wav", "pcm_s16le", RATE_HZ)

    scene.decode = decode
    await scene.deliver(scene.upload(KEY, CALL))
    assert seen == [asked]


async def test_an_empty_file_is_quarantined_beside_a_report_in_plain_words() -> None:
    scene = Scene()
    assert await verdict_of(scene, b"") == ("quarantined", "audio.empty")
    copy = "quarantine/acme/2026/录音 1+2%20.wav"
    assert scene.keys("quarantine/") == [copy, f"{copy}.report.json", f"{copy}.report.txt"]
    told = scene.read(f"{copy}.report.txt")
    assert "the file is empty" in told
    assert KEY in told
    assert "Copy:      beside this report\n" in told
    assert json.loads(scene.read(f"{copy}.report.json"))["reason"] == "audio.empty"


async def test_what_is_too_large_to_be_copied_stays_where_it_is_and_its_report_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    monkeypatch.setattr(report, "COPIED_BYTES", 5)
    assert await verdict_of(scene, b"<html>") == ("quarantined", "audio.unreadable")
    place = "quarantine/acme/2026/录音 1+2%20.wav"
    assert scene.keys("quarantine/") == [f"{place}.report.json", f"{place}.report.txt"]
    told = scene.read(f"{place}.report.txt")
    assert f"Recording: {KEY} in bucket recordings\n" in told
    assert "Copy:      none, it is larger than" in told
    assert json.loads(scene.read(f"{place}.report.json"))["copied"] is False
    assert scene.read(KEY) == "<html>"


async def test_what_is_no_audio_is_quarantined_as_it_came() -> None:
    scene = Scene()
    assert await verdict_of(scene, b"<html>") == ("quarantined", "audio.unreadable")
    assert scene.read("quarantine/acme/2026/录音 1+2%20.wav") == "<html>"


async def test_a_quarantined_recording_has_no_transcript_and_costs_nothing() -> None:
    scene = Scene()
    await verdict_of(scene, b"<html>")
    assert scene.keys("transcripts/") == []
    assert scene.recognise.calls == []


@pytest.mark.parametrize("key", ["in/nobody/a.wav", "in/a.wav", "in//a.wav", "in/Acme/a.wav"])
async def test_a_recording_of_no_known_tenant_is_quarantined(key: str) -> None:
    scene = Scene()
    assert await verdict_of(scene, CALL, key) == ("quarantined", "tenant.unknown")
    assert f"quarantine/{key.removeprefix('in/')}.report.txt" in scene.recordings.objects


async def test_a_recording_too_long_for_sentence_mode_fails_with_advice() -> None:
    scene = Scene()

    async def decode(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
        return Decoded([silence(10)], RATE_HZ, 20 * 60_000 + 1, "wav", "pcm_s16le", RATE_HZ)

    scene.decode = decode
    assert await verdict_of(scene, CALL) == ("failed", "recording.too_long_for_sentence_mode")
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert "20 minutes" in terminal.verdict.advice


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("audio.too_long", ("failed", "recording.too_long_for_sentence_mode")),
        ("audio.too_large", ("failed", "recording.too_large")),
        ("audio.empty", ("quarantined", "audio.empty")),
        ("audio.unreadable", ("quarantined", "audio.unreadable")),
        ("audio.new_in_a_later_version", ("quarantined", "audio.unreadable")),
    ],
)
async def test_what_the_decoder_refuses_ends_as(code: str, verdict: tuple[str, str]) -> None:
    scene = Scene()

    async def decode(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
        raise AudioError(code=code)

    scene.decode = decode
    assert await verdict_of(scene, CALL) == verdict


async def test_a_recording_too_large_for_memory_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    monkeypatch.setattr(hearing, "MAX_BYTES", 100)
    assert await verdict_of(scene, CALL) == ("failed", "recording.too_large")
    assert scene.recordings.calls["get"] == 0


async def test_a_recording_deleted_before_it_was_read_is_skipped() -> None:
    scene = Scene()
    await scene.deliver(event_of(KEY, etag_of(CALL), len(CALL), {}))
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("skipped", "recording.deleted")


async def test_a_recording_overwritten_before_it_was_read_is_skipped_and_the_new_one_has_its_own_job() -> None:
    scene = Scene()
    old, new = scene.upload(KEY, CALL), scene.upload(KEY, mono(speech(1000)))
    await scene.deliver(old)
    await scene.deliver(new)
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("skipped", "recording.replaced")
    assert scene.job(KEY, mono(speech(1000))).latest.placed


async def test_a_transcript_does_not_take_the_place_of_a_newer_recordings() -> None:
    scene = Scene()

    async def overwrite() -> None:
        scene.upload(KEY, b"newer")

    scene.recognise.before = overwrite
    await scene.deliver(scene.upload(KEY, CALL))
    assert scene.keys("transcripts/") == []
    assert not scene.job(KEY, CALL).latest.placed


async def test_a_tenant_without_an_appkey_for_its_language_gets_a_reason() -> None:
    scene = Scene()
    scene.tenants(acme={})
    assert await verdict_of(scene, CALL) == ("failed", "tenant.no_appkey")


async def test_a_name_too_long_for_its_transcript_fails_before_anything_is_spent() -> None:
    scene = Scene()
    key = "in/acme/" + "音" * 330 + ".wav"
    assert await verdict_of(scene, CALL, key) == ("failed", "recording.name_too_long")
    assert scene.recognise.calls == []


async def test_what_the_speech_service_refuses_for_good_fails_with_its_code() -> None:
    scene = Scene()
    scene.recognise.errors = [SpeechError(code="nls.appkey_unknown")]
    assert await verdict_of(scene, CALL) == ("failed", "nls.appkey_unknown")


@pytest.mark.parametrize("name", ["oss-other-bucket", "oss-folder", "oss-own-output", "oss-removed"])
async def test_an_event_about_something_else_is_passed_over(name: str) -> None:
    scene = Scene()
    answer = await scene.deliver((EVENTS / f"{name}.json").read_bytes())
    assert answer == {"jobs": [], "skipped": 1}
    assert scene.keys("jobs/") == []


async def test_both_recordings_of_an_event_get_their_jobs() -> None:
    scene = Scene()
    answer = await scene.deliver((EVENTS / "oss-two-events.json").read_bytes())
    assert [job["outcome"] for job in answer["jobs"]] == ["ended", "ended"]
    assert len(scene.keys("jobs/")) == 2


async def test_an_event_with_a_bad_record_is_refused_after_the_good_one_was_done() -> None:
    scene = Scene()
    with pytest.raises(EventUnreadable):
        await scene.deliver((EVENTS / "oss-one-bad-of-two.json").read_bytes())
    assert len(scene.keys("jobs/")) == 1


async def test_without_metadata_in_the_event_the_call_id_is_the_objects_own() -> None:
    scene = Scene()
    scene.upload(KEY, CALL, {"call-id": "c-9"})
    await scene.deliver(event_of(KEY, etag_of(CALL), len(CALL)))
    assert scene.job(KEY, CALL).call_id == "c-9"


async def test_a_wav_and_an_mp3_of_one_name_do_not_collide() -> None:
    scene = Scene()
    for key in ("in/acme/a.wav", "in/acme/a.mp3"):
        await scene.deliver(scene.upload(key, CALL))
    assert {"transcripts/acme/a.wav.json", "transcripts/acme/a.mp3.json"} <= set(scene.recordings.objects)
