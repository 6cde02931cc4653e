"""Reading `POST /v1/prompts`: every mistake at once, and every default filled in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.prompts.consumers import CONSUMERS
from functions.prompts.rendition import RENDITIONS, Rendition
from functions.prompts.request import FIELDS, Wish, parse
from isikit.errors import FieldError, NotJson, RequestError, Unspeakable
from isikit.tenants import AppKey, Tenant
from support.prompting import Instance

TENANT = Tenant(id="acme", appkeys=(AppKey("k", "zh-CN", 16000),), retention="day", default_voice={"en-US": "becca"})


def wish(**body: Any) -> Wish:
    return parse({"text": "Hello", **body}, TENANT)


def mistakes(body: dict[str, Any]) -> dict[str, FieldError]:
    with pytest.raises(RequestError) as refused:
        parse(body, TENANT)
    return {error.field: error for error in refused.value.errors}


def test_every_default_is_filled_in() -> None:
    asked = wish()
    assert (asked.prompt.locale, asked.prompt.voice, asked.prompt.volume) == ("zh-CN", "aixia", 50)
    assert (asked.prompt.speech_rate, asked.prompt.pitch_rate, asked.prompt.master_rate_hz) == (0, 0, 16000)
    assert asked.rendition == Rendition("pcm_s16le", "wav", 8000)
    assert (asked.cache, asked.retention, asked.wait_ms, asked.consumer, asked.call_id) == (
        "use",
        "day",
        10_000,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("body", "rendition"),
    [
        ({"encoding": "mulaw"}, "mulaw-8000.ulaw"),
        ({"encoding": "mulaw", "container": "wav"}, "mulaw-wav-8000.wav"),
        ({"encoding": "alaw"}, "alaw-8000.alaw"),
        ({"encoding": "alaw", "container": "wav"}, "alaw-wav-8000.wav"),
        ({"encoding": "mp3"}, "mp3-16000.mp3"),
        ({"container": "mp3", "sample_rate_hz": 8000}, "mp3-8000.mp3"),
        ({"container": "wav"}, "pcm_s16le-8000.wav"),
        ({"sample_rate_hz": 24000}, "pcm_s16le-24000.wav"),
        ({"consumer": "asterisk"}, "mulaw-8000.ulaw"),
        ({"consumer": "asterisk", "encoding": "mulaw", "container": "raw", "sample_rate_hz": 8000}, "mulaw-8000.ulaw"),
        ({"consumer": "freeswitch"}, "pcm_s16le-8000.wav"),
        ({"consumer": "jambonz"}, "pcm_s16le-8000.wav"),
        ({"consumer": "twilio"}, "pcm_s16le-8000.wav"),
        ({"consumer": "bandwidth"}, "pcm_s16le-8000.wav"),
        ({"consumer": "sinch"}, "pcm_s16le-8000.wav"),
        ({"consumer": "amazon-connect"}, "mulaw-wav-8000.wav"),
    ],
    ids=str,
)
def test_consumer_or_encoding_choose_the_rendition(body: dict[str, Any], rendition: str) -> None:
    assert wish(**body).rendition.filename == rendition
    assert rendition in RENDITIONS


@pytest.mark.parametrize(
    ("body", "field", "code", "allowed"),
    [
        ({"volum": 5}, "volum", "unknown", sorted(FIELDS)),
        ({"volume": 101}, "volume", "range", {"min": 0, "max": 100}),
        ({"volume": "50"}, "volume", "type", "integer"),
        ({"volume": True}, "volume", "type", "integer"),
        ({"volume": 50.0}, "volume", "type", "integer"),
        ({"volume": None}, "volume", "type", "integer"),
        ({"speech_rate": -501}, "speech_rate", "range", {"min": -500, "max": 500}),
        ({"pitch_rate": 501}, "pitch_rate", "range", {"min": -500, "max": 500}),
        ({"wait_ms": 25_001}, "wait_ms", "range", {"min": 0, "max": 25_000}),
        ({"voice": 7}, "voice", "type", "string"),
        ({"consumer": "winamp"}, "consumer", "not_allowed", list(CONSUMERS)),
        ({"cache": "no"}, "cache", "not_allowed", ["use", "refresh", "bypass"]),
        ({"retention": "week"}, "retention", "not_allowed", ["permanent", "day"]),
        ({"sample_rate_hz": 44100}, "sample_rate_hz", "not_allowed", [8000, 16000, 24000]),
        ({"consumer": "asterisk", "encoding": "mp3"}, "encoding", "conflict", ["mulaw"]),
        ({"consumer": "asterisk", "container": "wav"}, "container", "conflict", ["raw"]),
        ({"consumer": "twilio", "sample_rate_hz": 16000}, "sample_rate_hz", "conflict", [8000]),
        ({"encoding": "mulaw", "sample_rate_hz": 16000}, "sample_rate_hz", "conflict", [8000]),
        ({"encoding": "mulaw", "container": "mp3"}, "container", "conflict", ["raw", "wav"]),
        ({"encoding": "pcm_s16le", "container": "raw"}, "container", "conflict", ["wav"]),
        ({"encoding": "mp3", "container": "wav"}, "container", "conflict", ["mp3"]),
        ({"container": "raw"}, "encoding", "missing", ["mulaw", "alaw"]),
        ({"cache": "bypass", "retention": "permanent"}, "retention", "conflict", ["day"]),
        ({"text": 5}, "text", "type", "string"),
        ({"ssml": "<speak>a</speak>"}, "ssml", "conflict", "either text or ssml"),
    ],
    ids=str,
)
def test_a_mistake_is_told_with_what_would_be_right(
    body: dict[str, Any], field: str, code: str, allowed: object
) -> None:
    error = mistakes({"text": "Hello", **body})[field]
    assert (error.code, error.allowed) == (code, allowed)


def test_all_mistakes_are_told_at_once_those_of_the_text_among_them() -> None:
    found = mistakes({"text": "\x00", "volume": 101, "voice": "nobody", "x": 1, "consumer": "sinch", "encoding": "mp3"})
    assert {field: error.code for field, error in found.items()} == {
        "text": "control_character",
        "volume": "range",
        "voice": "not_allowed",
        "x": "unknown",
        "encoding": "conflict",
    }


def test_a_text_that_cannot_be_spoken_is_422_when_nothing_else_is_wrong() -> None:
    with pytest.raises(Unspeakable):
        parse({"text": "..."}, TENANT)


def test_one_of_text_and_ssml_is_needed() -> None:
    assert mistakes({})["text"].code == "missing"


def test_an_unknown_voice_is_told_who_speaks_the_locale() -> None:
    error = mistakes({"text": "Hello", "voice": "nobody", "locale": "zh-HK"})["voice"]
    assert (error.code, error.allowed) == ("not_allowed", ["shanshan", "jiajia", "taozi", "kelly"])


def test_a_voice_that_cannot_speak_the_locale_is_refused() -> None:
    assert mistakes({"text": "Hello", "voice": "kelly"})["voice"].code == "not_allowed"
    assert mistakes({"text": "Hello", "voice": "aixia", "locale": "en-US"})["voice"].code == "not_allowed"
    assert wish(voice="kelly", locale="zh-HK").prompt.voice == "kelly"


def test_the_default_voice_is_the_tenants_for_the_locale() -> None:
    assert wish(locale="en-US").prompt.voice == "becca"
    assert wish(locale="zh-HK").prompt.voice == "shanshan"


def test_a_locale_that_nobody_speaks_is_refused_with_all_that_are_spoken() -> None:
    error = mistakes({"text": "Hello", "locale": "tlh"})["locale"]
    assert error.code == "not_allowed" and "zh-CN" in str(error.allowed)


def test_a_long_text_is_only_taken_from_one_who_does_not_wait() -> None:
    error = mistakes({"text": "a" * 2001})["text"]
    assert (error.code, error.allowed) == (
        "too_long",
        {"max_characters": 2000, "max_characters_with_wait_ms_0": 5000},
    )
    assert len(wish(text="a" * 2001, wait_ms=0).prompt.text) == 2001
    assert mistakes({"text": "a" * 5_001, "wait_ms": 0})["text"].code == "too_long"
    assert len(wish(text="a" * 2000).prompt.text) == 2000


def test_ssml_needs_a_voice_that_reads_it() -> None:
    assert mistakes({"ssml": "<speak>a</speak>", "locale": "ja-JP"})["ssml"].code == "conflict"
    emotional = '<speak><emotion category="happy">a</emotion></speak>'
    assert mistakes({"ssml": emotional})["voice"].code == "conflict"
    assert parse({"ssml": emotional, "voice": "zhimi_emo"}, TENANT).prompt.is_ssml


def test_a_call_id_must_look_like_one() -> None:
    assert mistakes({"text": "a", "call_id": "two words"})["call_id"].code == "format"
    assert wish(call_id="1700000000.12").call_id == "1700000000.12"


@pytest.mark.parametrize("body", [[], "x", 5, None, True])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(NotJson):
        parse(body, TENANT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON, max_size=6))
def test_any_object_is_a_wish_or_a_request_error(body: dict[str, Any]) -> None:
    try:
        parse(body, TENANT)
    except RequestError as error:
        assert error.errors
        assert error.status in (400, 422)


async def test_over_http_the_mistakes_are_a_problem_document(instance: Instance) -> None:
    answer = await instance.post({"text": "Hello", "volume": 101, "voice": "nobody", "tex t": 1})
    assert answer.status == 400
    problem = answer.json()
    assert (answer.headers["content-type"], problem["code"]) == ("application/problem+json", "request.invalid")
    assert len(problem["errors"]) == 3
    assert {error["field"] for error in problem["errors"]} > {"volume", "voice"}
