"""The rules for plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.prompts.text import clean, has_speech
from isikit.errors import Unspeakable


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Hello.", "Hello."),
        ("  a \t b\r\n\r\nc ", "a b c"),
        ("a\u2028b", "a b"),
        ("e\u0301", "\u00e9"),
        ("co\u00adoperate", "cooperate"),
        ("a\u200bb\u200dc\ufeff", "abc"),
        ("\u202eabc\u202c \u2066d\u2069", "abc d"),
        ("e\u200b\u0301", "\u00e9"),  # what came together composes
        ("您好\u3000世界", "您好\u3000世界"),
        ("A & B < C", "A & B < C"),
        ("5 €", "5 €"),
    ],
)
def test_what_is_not_heard_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "nothing_to_speak"),
        (" \t\n", "nothing_to_speak"),
        ("\u200b", "nothing_to_speak"),
        ("…!?。", "nothing_to_speak"),
        ("\U0001f600", "nothing_to_speak"),
        ("\u0301", "nothing_to_speak"),
        ("a\x00", "control_character"),
        ("a\x0b", "control_character"),
        ("a\x1b[0m", "control_character"),
        ("a\x7f", "control_character"),
        ("a\x85", "control_character"),
        ("a\ufffe", "control_character"),
        ("a\U0010ffff", "control_character"),
        ("a\ud800", "lone_surrogate"),
        ("\udc00", "lone_surrogate"),
        ("<speak>a</speak>", "markup"),
        ("a < SPEAK bgm='http://x'>", "markup"),
        ("a<\u200bspeak>", "markup"),
    ],
)
def test_what_cannot_be_spoken_is_refused_with_the_reason(text: str, code: str) -> None:
    with pytest.raises(Unspeakable) as refused:
        clean(text)
    assert [(error.field, error.code) for error in refused.value.errors] == [("text", code)]


@given(st.text())
def test_cleaning_what_was_cleaned_changes_nothing_and_it_is_always_utf8(text: str) -> None:
    try:
        cleaned = clean(text)
    except Unspeakable:
        return
    assert clean(cleaned) == cleaned
    assert has_speech(cleaned)
    cleaned.encode()


@pytest.mark.parametrize("text", ["a", "7", "您", "ก", "½", "€", "+", "١"])
def test_letters_digits_ideographs_and_signs_are_speech(text: str) -> None:
    assert has_speech(text)
