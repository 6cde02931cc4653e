"""Cues: short enough to read, in order, with the times of their turns; and the two files made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.transcripts import subtitles
from functions.transcripts.subtitles import MAX_COLUMNS, MAX_MS, Cue, columns, cues, split, srt, vtt
from functions.transcripts.transcript import clean

SRT_TIMES = re.compile(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})")
VTT_TIMES = re.compile(r"(\d\d):(\d\d):(\d\d)\.(\d{3}) --> (\d\d):(\d\d):(\d\d)\.(\d{3})")


@dataclass(frozen=True)
class Turn:
    start_ms: int
    end_ms: int
    channel: int
    text: str


def test_a_short_turn_is_one_cue() -> None:
    assert cues([Turn(1000, 3000, 0, "你好。")], labelled=False) == [Cue(1000, 3000, "你好。")]


def test_a_long_turn_is_cut_after_a_sentence() -> None:
    text = "I would like to know the balance of my savings account. And could you block my card as well, please?"
    found = cues([Turn(0, 10_000, 0, text)], labelled=False)
    assert [cue.text for cue in found] == [
        "I would like to know the balance of my savings account.",
        "And could you block my card as well, please?",
    ]


def test_chinese_is_cut_after_a_sentence_and_no_mark_begins_a_cue() -> None:
    text = "您好，我想查询一下我的储蓄账户余额，麻烦您了。另外我昨天把信用卡弄丢了，请帮我挂失，谢谢您，再见。"
    found = cues([Turn(0, 12_000, 0, text)], labelled=False)
    assert "".join(cue.text for cue in found) == text
    assert found[0].text.endswith("。")
    assert all(cue.text[0] not in "，。！？、" for cue in found)


def test_no_word_is_cut_that_fits_into_a_cue() -> None:
    text = " ".join(["extraordinarily"] * 30)
    assert all(set(cue.text.split()) == {"extraordinarily"} for cue in cues([Turn(0, 9000, 0, text)], labelled=False))


def test_a_word_longer_than_a_cue_is_broken() -> None:
    parts = split("x" * 200, MAX_COLUMNS)
    assert [len(part) for part in parts] == [84, 84, 32]


def test_a_number_is_not_a_sentence_end() -> None:
    assert split("it is 3.14159 exactly", 13) == ["it is 3.14159", "exactly"]


def test_a_single_word_said_for_a_long_time_stays_one_cue() -> None:
    assert cues([Turn(0, 20_000, 0, "hmm")], labelled=False) == [Cue(0, 20_000, "hmm")]


def test_time_is_shared_out_by_length() -> None:
    first, second = cues([Turn(0, 9_000, 0, "aaaa aaaa aaaa aaaa. bbbb bbbb.")], labelled=False)
    assert (first.start_ms, first.end_ms, second.start_ms, second.end_ms) == (0, 6000, 6000, 9000)


def test_srt_numbers_its_cues_and_writes_times_with_a_comma() -> None:
    assert srt([Cue(0, 1500, "a"), Cue(3_723_004, 3_724_000, "b")]) == (
        "1\n00:00:00,000 --> 00:00:01,500\na\n\n2\n01:02:03,004 --> 01:02:04,000\nb\n\n"
    )


def test_vtt_begins_with_its_name_and_writes_times_with_a_point() -> None:
    assert vtt([Cue(0, 1500, "a")]) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na\n\n"


def test_vtt_escapes_what_would_be_markup() -> None:
    assert "a &lt;b&gt; &amp; c --&gt; d" in vtt([Cue(0, 1, "a <b> & c --> d")])


def test_an_arrow_in_srt_is_not_taken_for_a_time_line() -> None:
    assert srt([Cue(0, 1, "a --> b")]).count("-->") == 1


def test_two_channels_are_labelled_in_both_files() -> None:
    found = cues([Turn(0, 1000, 1, "yes")], labelled=True)
    assert "\nChannel 1: yes\n" in srt(found)
    assert "\n<v Channel 1>yes\n" in vtt(found)


def test_cues_of_two_channels_are_in_order_of_time() -> None:
    found = cues([Turn(0, 9000, 0, "a " * 60), Turn(4000, 5000, 1, "yes")], labelled=True)
    assert [cue.start_ms for cue in found] == sorted(cue.start_ms for cue in found)


def test_no_speech_makes_valid_files_without_cues() -> None:
    assert (srt([]), vtt([])) == ("", "WEBVTT\n\n")


def test_a_turn_ten_times_as_long_takes_ten_times_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def counted(text: str) -> int:
        nonlocal looked_at
        looked_at += len(text)
        return columns(text)

    monkeypatch.setattr(subtitles, "columns", counted)
    taken = []
    for count in (500, 5000):  # an hour without a full stop has 50,000 characters
        looked_at = 0
        cues([Turn(0, 700 * count, 0, "word " * count)], labelled=False)
        taken.append(looked_at)
    assert taken[1] < 12 * taken[0]


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).map(clean).filter(bool)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """Turns of one or two channels; those of one channel do not overlap."""
    turns: list[Turn] = []
    for channel in range(draw(st.integers(1, 2))):
        at = 0
        for _ in range(draw(st.integers(0, 5))):
            start = at + draw(st.integers(0, 5000))
            at = start + draw(st.integers(1, 60_000))
            turns.append(Turn(start, at, channel, draw(words)))
    return sorted(turns, key=lambda turn: turn.start_ms)


def seconds_of(match: re.Match[str]) -> tuple[int, int]:
    hours, minutes, seconds, ms, *end = map(int, match.groups())
    return (
        ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms,
        ((end[0] * 60 + end[1]) * 60 + end[2]) * 1000 + end[3],
    )


@given(conversations())
def test_cues_never_run_backwards_and_never_overlap_within_a_channel(turns: list[Turn]) -> None:
    found = cues(turns, labelled=True)
    assert [cue.start_ms for cue in found] == sorted(cue.start_ms for cue in found)
    for name in ("Channel 0", "Channel 1"):
        passed = 0
        for cue in (cue for cue in found if cue.label == name):
            assert passed <= cue.start_ms < cue.end_ms
            passed = cue.end_ms


@given(conversations())
def test_cues_hold_every_character_of_their_turns_and_fill_their_times(turns: list[Turn]) -> None:
    for turn in turns:
        found = cues([turn], labelled=False)
        assert "".join("".join(cue.text.split()) for cue in found) == "".join(turn.text.split())
        assert (found[0].start_ms, found[-1].end_ms) == (turn.start_ms, turn.end_ms)


@given(words, st.integers(2000, 60_000))
def test_no_cue_is_too_wide_and_only_what_cannot_be_cut_lasts_too_long(text: str, ms: int) -> None:
    for cue in cues([Turn(0, ms, 0, text)], labelled=False):
        assert columns(cue.text) <= MAX_COLUMNS
        if cue.end_ms - cue.start_ms > MAX_MS + 1:
            limit = columns(text) * MAX_MS // ms
            assert split(cue.text, max(1, limit)) == [cue.text]


@given(conversations())
def test_both_files_say_the_same_times(turns: list[Turn]) -> None:
    found = cues(turns, labelled=True)
    times = [(cue.start_ms, cue.end_ms) for cue in found]
    assert [seconds_of(match) for match in SRT_TIMES.finditer(srt(found))] == times
    assert [seconds_of(match) for match in VTT_TIMES.finditer(vtt(found))] == times


@given(st.text())
def test_cleaned_text_is_one_line_that_utf8_can_hold(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert len(cleaned.splitlines()) <= 1


@pytest.mark.parametrize("text", ["a\n\nb", "a\x00b", "a\u2028b", "a\tb", " a  b "])
def test_breaks_and_control_characters_become_one_space(text: str) -> None:
    assert clean(text) == "a b"
