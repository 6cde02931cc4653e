"""The files of a transcript, and what decides about it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from functions.transcripts.audio import Layout, same
from functions.transcripts.job import Job
from functions.transcripts.mode import SentenceMode, appkeys_of, rate_for
from functions.transcripts.transcript import Transcript, Turn, files
from isikit.tenants import AppKey, Tenant
from unit.transcripts.scene import silence, speech

JOB = Job("0" * 64, "recordings", "in/acme/a.wav", "E", 1, "acme", None, 0.0)
TURNS = (Turn(0, 1000, 0, "hello"), Turn(500, 2000, 1, "yes"))


def transcript(layout: Layout = "two_sides", turns: tuple[Turn, ...] = TURNS) -> Transcript:
    return Transcript(turns, 2000, 8000, 2, layout, "sentence", "d" * 64, "2026-11-22T00:00:00Z")


def test_the_plain_text_says_who_spoke_where_there_are_two() -> None:
    assert files(transcript(), JOB, 1)["transcript.txt"] == b"Channel 0: hello\nChannel 1: yes\n"


@pytest.mark.parametrize("layout", ["mono", "same_on_both_sides"])
def test_the_plain_text_is_only_text_where_there_is_one(layout: Layout) -> None:
    assert files(transcript(layout, TURNS[:1]), JOB, 1)["transcript.txt"] == b"hello\n"


def test_chinese_stands_in_the_json_as_it_is() -> None:
    made = files(transcript(turns=(Turn(0, 1000, 0, "您好"),)), JOB, 1)["transcript.json"]
    assert "您好".encode() in made
    assert json.loads(made)["text"] == "您好"


def test_the_same_turns_make_the_same_bytes() -> None:
    assert files(transcript(), JOB, 1) == files(transcript(), JOB, 1)


@pytest.mark.parametrize("change", [{"appkey": "other"}, {"rate_hz": 16000}, {"mode": "file"}])
def test_the_config_digest_changes_with_everything_that_decides_the_text(change: dict[str, object]) -> None:
    plan = SentenceMode("appkey", 8000)
    assert replace(plan, **change).digest() != plan.digest()  # type: ignore[arg-type]


def test_the_appkey_of_a_recording_is_one_for_the_tenants_language() -> None:
    keys = (AppKey("english", "en-US", 8000), AppKey("first", "zh-CN", 8000), AppKey("second", "zh-CN", 8000))
    assert appkeys_of(Tenant("acme", appkeys=keys)) == {8000: "first"}


@pytest.mark.parametrize(("rates", "rate"), [({8000}, 8000), ({16000}, 16000), ({8000, 16000}, None)])
def test_the_recording_decides_its_rate_only_where_there_is_an_appkey_for_both(
    rates: set[int], rate: int | None
) -> None:
    assert rate_for(dict.fromkeys(rates, "appkey")) == rate


def test_two_channels_with_the_same_sound_are_the_same_though_a_codec_was_between() -> None:
    left = speech(200)
    right = bytearray(left)
    right[100] ^= 3
    assert same(left, bytes(right))


def test_two_channels_with_different_sounds_are_not_the_same() -> None:
    assert not same(speech(200), speech(200, 330))


def test_a_silent_channel_is_not_the_same_as_a_loud_one() -> None:
    assert not same(speech(200), silence(200))


def test_two_silent_channels_are_the_same() -> None:
    assert same(silence(200), silence(200))
