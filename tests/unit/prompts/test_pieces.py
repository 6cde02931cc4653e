"""Where long texts are cut."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.prompts.pieces import LIMIT, split


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("Short.", 300, ("Short.",)),
        ("您好。再见。", 4, ("您好。", "再见。")),
        ("您好！” 再见。", 6, ("您好！”", "再见。")),
        ("One two. Three four.", 12, ("One two.", "Three four.")),
        ('He said "no." Then left.', 16, ('He said "no."', "Then left.")),
        ("It costs 3.50 in all, no more", 16, ("It costs 3.50", "in all, no more")),
        ("一二三，四五六", 5, ("一二三，", "四五六")),
        ("a, b. c, d e f", 8, ("a, b.", "c, d e f")),
        ("1,000,000 francs", 10, ("1,000,000", "francs")),
        ("abc, \u0301de", 6, ("abc, \u0301", "de")),
        ("at 12:30 precisely", 9, ("at 12:30", "precisely")),
        ("one two three", 8, ("one two", "three")),
        ("abcdefghij", 4, ("abcd", "efgh", "ij")),
        ("好好好好好", 2, ("好好", "好好", "好")),
        ("e\u0332\u0332e\u0332\u0332", 4, ("e\u0332\u0332", "e\u0332\u0332")),
        ("abc\U0001f1e8\U0001f1f3d", 6, ("abc", "\U0001f1e8\U0001f1f3d")),
        ("Wait!!! What??? Yes.", 8, ("Wait!!!", "What???", "Yes.")),
    ],
)
def test_cuts_are_at_sentences_then_commas_then_blanks(text: str, limit: int, pieces: tuple[str, ...]) -> None:
    assert split(text, limit) == pieces


SPEECH = st.text(st.sampled_from(list("abc好你 。，.!,\u0301\u0332\U0001f44d\U0001f3fdé3")), min_size=1, max_size=400)


@given(SPEECH, st.integers(8, 60))
def test_no_piece_is_too_long_and_nothing_spoken_is_lost(text: str, limit: int) -> None:
    text = " ".join(text.split())
    pieces = split(text, limit)
    assert all(len(piece.encode("utf-16-le")) // 2 <= limit for piece in pieces)
    spoken = [character for character in text if character.isalnum()]
    assert [character for piece in pieces for character in piece if character.isalnum()] == spoken


@given(SPEECH)
def test_no_piece_begins_inside_a_character(text: str) -> None:
    assume(not re.search("[\u0301\u0332\U0001f3fd]{14}", text))  # more than a piece of marks on one letter
    for piece in split(" ".join(text.split()), 30)[1:]:
        assert not unicodedata.category(piece[0]).startswith("M")


def test_characters_beyond_the_basic_plane_count_twice() -> None:
    assert [len(piece) for piece in split("𠀀" * 300)] == [150, 150]


def test_a_text_of_exactly_the_limit_is_one_piece() -> None:
    assert len(split("a" * LIMIT)) == 1
    assert len(split("a" * (LIMIT + 1))) == 2
