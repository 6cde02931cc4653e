"""Which mode a recording gets: by what the tenant asks for, its length and rate, and what there is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.transcripts.mode import OFFERED, appkeys_of, as_a_whole
from isikit.audio.probe import Measured
from isikit.errors import SpeechError
from isikit.host.context import Deadline
from isikit.nls.flash import FlashOrder
from isikit.nls.sentences import Sentence
from isikit.tenants import AppKey, Tenant
from isikit.tenants.schema import Use
from unit.transcripts.scene import Scene, mono, silence, speech, stereo

KEY = "in/acme/calls/a.wav"
PLACE = "transcripts/acme/calls/a.wav"
SHORT = mono(speech(1000))
LONG = mono(speech(1000) + silence(61_000))
ALL = frozenset({"sentence", "realtime", "file", "flash"})
HOUR = 3600_000


def measured(rate_hz: int = 8000, duration_ms: int = HOUR, container: str = "wav", codec: str = "pcm") -> Measured:
    return Measured(duration_ms, 1, (900, 0, 0), container, codec, rate_hz)


class Whole:
    """Answers flash and realtime, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def flash(self, data: bytes, order: FlashOrder, deadline: Deadline) -> tuple[Sentence, ...]:
        self.asked.append(order)
        return (Sentence(0, 900, 0, "hello"),)

    async def realtime(self, pcm: bytes, rate_hz: int, appkey: str, deadline: Deadline) -> tuple[Sentence, ...]:
        self.asked.append((len(pcm), rate_hz, appkey))
        return (Sentence(0, 900, 0, f"side {len(self.asked)}"),)


def scene_with(*rules: dict[str, Any]) -> tuple[Scene, Whole]:
    scene, whole = Scene(), Whole()
    scene.flash, scene.realtime = whole.flash, whole.realtime
    scene.tenants(rules, acme={8000: "narrow", 16000: "wide"})
    return scene, whole


async def verdict(scene: Scene, data: bytes) -> tuple[str, str | None, str | None]:
    await scene.deliver(scene.upload(KEY, data))
    terminal = scene.job(KEY, data).latest.terminal
    assert terminal is not None
    return terminal.verdict.state, terminal.verdict.reason, terminal.verdict.mode


async def test_a_minute_is_recognised_at_once_whatever_else_there_is() -> None:
    scene, whole = scene_with()
    scene.with_queue()
    assert await verdict(scene, SHORT) == ("done", None, "sentence")
    assert whole.asked == []


async def test_without_a_queue_a_long_recording_goes_by_flash_and_without_that_in_pieces() -> None:
    scene, whole = scene_with()
    assert await verdict(scene, LONG) == ("done", None, "flash")
    assert whole.asked == [FlashOrder("narrow", "wav", 8000, first_channel_only=True)]
    scene, _ = scene_with()
    scene.flash = None
    assert await verdict(scene, LONG) == ("done", None, "sentence")


async def test_where_the_region_offers_neither_a_long_recording_is_cut_into_pieces() -> None:
    scene, whole = scene_with()
    service = scene.with_queue()
    scene.region = "ap-southeast-1"
    assert await verdict(scene, LONG) == ("done", None, "sentence")
    assert (whole.asked, service.orders) == ([], [])


async def test_the_rule_of_the_longest_prefix_counts() -> None:
    scene, _ = scene_with({"prefix": "", "mode": "flash"}, {"prefix": "calls/", "mode": "file"})
    service = scene.with_queue()
    await scene.deliver(scene.upload(KEY, SHORT))
    assert len(service.orders) == 1
    await scene.deliver(scene.upload("in/acme/call.wav", SHORT))
    assert json.loads(scene.read("transcripts/acme/call.wav.json"))["mode"] == "flash"


async def test_realtime_plays_each_side_that_speaks() -> None:
    scene, whole = scene_with({"prefix": "", "mode": "realtime"})
    data = stereo(speech(1000, 440), speech(1000, 700))
    assert await verdict(scene, data) == ("done", None, "realtime")
    assert [rate_hz for _, rate_hz, _ in whole.asked] == [8000, 8000]
    turns = json.loads(scene.read(f"{PLACE}.json"))["turns"]
    assert [turn["channel"] for turn in turns] == [0, 1]
    scene, whole = scene_with({"prefix": "", "mode": "realtime"})
    await verdict(scene, stereo(speech(1000), silence(1000)))
    assert len(whole.asked) == 1


@pytest.mark.parametrize("mode", ["file", "flash", "realtime"])
async def test_a_mode_that_is_not_there_is_refused_by_name(mode: str) -> None:
    scene, _ = scene_with({"prefix": "", "mode": mode})
    scene.flash = scene.realtime = None
    assert await verdict(scene, SHORT) == ("failed", "recording.mode_not_offered", mode)


async def test_a_language_of_a_rule_needs_its_own_appkey() -> None:
    scene, _ = scene_with({"prefix": "", "locale": "en-US"})
    assert (await verdict(scene, SHORT))[:2] == ("failed", "tenant.no_appkey")


async def test_what_flash_refuses_for_good_fails_with_its_code() -> None:
    scene, _ = scene_with({"prefix": "", "mode": "flash"})

    async def refuse(*_: object) -> tuple[Sentence, ...]:
        raise SpeechError(code="nls.audio_undecodable")

    scene.flash = refuse
    assert await verdict(scene, SHORT) == ("failed", "nls.audio_undecodable", "flash")


@pytest.mark.parametrize(
    ("found", "appkeys", "mode", "rate_hz"),
    [
        (measured(8000), {8000: "n", 16000: "w"}, "file", 8000),
        (measured(44_100), {8000: "n", 16000: "w"}, "file", 16000),
        (measured(8000), {16000: "w"}, "flash", 16000),  # the queue raises no rate, flash does
        (measured(11_025), {8000: "n", 16000: "w"}, "flash", 16000),
        (measured(16_000), {8000: "n"}, "flash", 8000),
    ],
)
def test_the_rate_of_a_recording_chooses_the_model(
    found: Measured, appkeys: dict[int, str], mode: str, rate_hz: int
) -> None:
    plan = as_a_whole("auto", found, 1000, appkeys, ALL)
    assert not isinstance(plan, str)
    assert (plan.mode, getattr(plan, "rate_hz", 0)) == (mode, rate_hz)


@pytest.mark.parametrize(
    ("wish", "found", "size", "reason"),
    [
        ("file", measured(8000), 1, "tenant.no_appkey_for_rate"),
        ("flash", measured(16_000, container="flac", codec="flac"), 1, "recording.format_not_for_flash"),
        ("flash", measured(16_000, container="ogg", codec="vorbis"), 1, "recording.format_not_for_flash"),
        ("flash", measured(16_000, 2 * HOUR + 1), 1, "recording.too_long"),
        ("flash", measured(16_000), 101 * 1024 * 1024, "recording.too_large_for_flash"),
        ("auto", measured(8000, 3 * HOUR), 1, "tenant.no_appkey_for_rate"),
    ],
)
def test_what_no_mode_takes_fails_with_a_reason_and_advice(wish: Any, found: Measured, size: int, reason: str) -> None:
    verdict = as_a_whole(wish, found, size, {16000: "w"}, ALL)
    assert not isinstance(verdict, str)
    assert getattr(verdict, "reason", None) == reason
    assert getattr(verdict, "advice", "")


def test_every_region_has_what_needs_no_queue() -> None:
    assert all({"sentence", "realtime"} <= modes for modes in OFFERED.values())


@pytest.mark.parametrize(
    ("data", "rule", "seconds"),
    [
        (SHORT, {}, 1),
        (stereo(speech(1500, 440), speech(1500, 700)), {}, 4),
        (stereo(speech(1500), speech(1500)), {}, 2),
        (stereo(speech(1500, 440), speech(1500, 700)), {"mode": "flash"}, 4),
        (stereo(speech(1500, 440), speech(1500, 700)), {"mode": "file"}, 2),  # 8 kHz: both sides are billed as one
        (mono(silence(1500)), {"mode": "file"}, 0),
    ],
)
async def test_what_may_be_billed_is_taken_from_the_quota_before_anything_is_sent(
    data: bytes, rule: dict[str, Any], seconds: int
) -> None:
    scene, whole = scene_with({"prefix": "", **rule})
    service = scene.with_queue()
    spent: list[int] = []

    async def spend(tenant: Tenant, amount: int) -> None:
        assert whole.asked == service.orders == scene.recognise.calls == []
        spent.append(amount)

    scene.spend = spend
    await scene.deliver(scene.upload(KEY, data))
    assert spent == [seconds]


@pytest.mark.parametrize(
    ("uses", "taken"), [((), True), (("sentence_asr",), True), (("tts", "realtime_asr"), True), (("tts",), False)]
)
def test_an_appkey_that_is_not_for_recognition_is_not_taken(uses: tuple[Use, ...], taken: bool) -> None:
    tenant = Tenant("acme", appkeys=(AppKey("narrow", "zh-CN", 8000, uses),))
    assert appkeys_of(tenant) == ({8000: "narrow"} if taken else {})


@pytest.mark.parametrize("wish", ["auto", "file"])
async def test_a_recording_longer_than_the_queue_takes_fails_before_anything_is_paid(
    wish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.transcripts.mode.LONGEST_FILE_MS", 61_000)  # twelve hours, but sooner
    scene, _ = scene_with({"prefix": "", "mode": wish})
    service = scene.with_queue()
    assert await verdict(scene, LONG) == ("failed", "recording.too_long", "file")
    assert (service.orders, scene.recognise.calls) == ([], [])
