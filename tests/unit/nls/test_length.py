"""Characters for the bill, milliseconds for the proof."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isikit.nls.length import billed, characters, expected_ms, predict, stretch
from unit.nls.spoken import MEASURED


@pytest.mark.parametrize(
    ("text", "is_ssml", "count"),
    [
        ("", False, 0),
        ("  a b  ", False, 3),
        ("您好，世界。", False, 6),
        ("😀", False, 1),
        ("<b>", False, 3),
        ("<speak>Tom &amp; Li<break time='1s'/></speak>", True, 8),
        ("<speak> <sub alias='doctor'>Dr</sub> Li </speak>", True, 5),
    ],
)
def test_characters_are_counted_as_the_service_bills_them(text: str, is_ssml: bool, count: int) -> None:
    assert characters(text, is_ssml) == count


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (1, 1), (100, 1), (101, 2), (102, 2), (200, 2), (300, 3)])
def test_every_started_hundred_characters_are_one_call(count: int, calls: int) -> None:
    assert billed("字" * count) == calls


@pytest.mark.parametrize(("rate", "factor"), [(-500, 2.0), (-125, 1.25), (0, 1.0), (166, 0.834), (500, 0.5)])
def test_the_rate_stretches_as_documented(rate: int, factor: float) -> None:
    assert stretch(rate) == pytest.approx(factor)
    assert expected_ms("你好，世界" * 10, rate) == pytest.approx(factor * expected_ms("你好，世界" * 10), abs=2)


def test_chinese_takes_a_quarter_of_a_second_a_character_and_a_fifth_on_top() -> None:
    assert expected_ms("好" * 101) - expected_ms("好" * 1) == pytest.approx(100 * 250 * 1.2)


@pytest.mark.parametrize(("text", "measured_ms"), MEASURED)
def test_a_real_voice_stays_near_the_prediction(text: str, measured_ms: int) -> None:
    assert 0.6 < measured_ms / expected_ms(text) < 1.45


def test_breaks_count_and_are_capped_at_ten_seconds() -> None:
    plain = expected_ms("<speak>hello world</speak>", is_ssml=True)
    assert (
        expected_ms("<speak>hello <break time='1.5s'/>world<break time=\"200ms\"/></speak>", is_ssml=True)
        == plain + 1700
    )
    many = "<speak>hello world" + "<break time='9s'/>" * 5 + "</speak>"
    assert expected_ms(many, is_ssml=True) == plain + 10_000


def test_ssml_is_predicted_by_what_is_spoken() -> None:
    assert expected_ms(
        "<speak><sub alias='International Monetary Fund'>IMF</sub></speak>", is_ssml=True
    ) == expected_ms("International Monetary Fund")
    assert expected_ms("<speak rate='-500'>hello world</speak>", 500, is_ssml=True) == expected_ms("hello world", -500)
    assert predict("<speak bgm='http://x/y'>hello</speak>", is_ssml=True).extra_ms == float("inf")
    assert predict("<speak><soundEvent src='http://x/y'/>hello</speak>", is_ssml=True).extra_ms == float("inf")


def test_signs_that_voices_skip_or_read_are_only_allowed_for() -> None:
    assert expected_ms("hello 😀😀😀") == expected_ms("hello ")
    assert predict("hello 😀😀😀").extra_ms == 3000


@given(st.text(max_size=300), st.integers(-500, 500), st.booleans())
def test_any_text_has_a_length(text: str, rate: int, is_ssml: bool) -> None:
    spoken, pauses, _ = predict(text, rate, is_ssml)
    assert 0 <= spoken < 300 * 2 * 600 + 1000
    assert 0 <= pauses <= 10_000
    assert 0 <= characters(text, is_ssml) <= 300
