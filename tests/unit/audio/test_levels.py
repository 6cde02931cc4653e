"""Levels and cutting: pieces in order, within the cap, and no speech outside them."""

from __future__ import annotations

import audioop

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isikit.audio import levels
from unit.audio.tones import noise, silence, sine

RATE = 8000
LOUD = sine(300, RATE, 10_000, 8000)
FLOOR = noise(RATE, 10_000, 20)


def speech(*stretches: tuple[bool, int]) -> bytes:
    """(loud?, milliseconds) after one another, over a noise floor."""
    return b"".join(
        (LOUD * (ms // 10_000 + 1) if loud else FLOOR * (ms // 10_000 + 1))[: 2 * (RATE * ms // 1000)]
        for loud, ms in stretches
    )


def test_a_gap_shorter_than_300_ms_is_part_of_a_word() -> None:
    pcm = speech((False, 500), (True, 1000), (False, 250), (True, 1000), (False, 700), (True, 500))
    assert levels.cut_points(pcm, RATE, 500) == [(300, 2950), (3250, 3950)]


def test_silence_is_no_piece() -> None:
    pcm = silence(RATE, 3000)
    assert levels.cut_points(pcm, RATE) == []
    assert levels.cut_points(b"", RATE) == []


def test_noise_alone_is_not_speech() -> None:
    assert levels.cut_points(noise(RATE, 5000, 20), RATE) == []


def test_head_and_tail_keep_a_margin_of_200_ms() -> None:
    pcm = speech((False, 2000), (True, 1000), (False, 3000))
    assert levels.cut_points(pcm, RATE) == [(1800, 3200)]


def test_pieces_grow_to_the_target_and_end_in_a_pause() -> None:
    pcm = speech(*[(True, 4000), (False, 1000)] * 8)
    assert levels.cut_points(pcm, RATE) == [(0, 19200), (19800, 39200)]


def test_a_piece_never_outgrows_the_cap() -> None:
    pcm = speech((True, 9000), (False, 400), (True, 9000))
    assert levels.cut_points(pcm, RATE, 10_000, 12_000) == [(0, 9200), (9200, 18400)]


def test_speech_without_a_pause_is_cut_at_its_quietest_moment() -> None:
    pcm = speech((True, 9000), (False, 100), (True, 9000))
    (first, second) = levels.cut_points(pcm, RATE, 10_000, 10_000)
    assert first[1] == second[0]
    assert 9000 <= first[1] <= 9100


def test_quiet_speech_over_a_loud_floor_is_still_found() -> None:
    pcm = noise(RATE, 1000, 150) + sine(300, RATE, 1000, 1200) + noise(RATE, 1000, 150)
    assert levels.cut_points(pcm, RATE) == [(800, 2200)]


def test_an_hour_of_pauses_and_words_costs_little() -> None:
    pcm = speech((True, 700), (False, 800)) * 200
    pieces = levels.cut_points(pcm, RATE)
    assert pieces[-1][1] >= 300_000 - 800
    assert all(end - start <= 55_000 for start, end in pieces)


def test_impossible_caps_are_refused() -> None:
    with pytest.raises(ValueError, match="cap"):
        levels.cut_points(LOUD, RATE, 15_000, 10_000)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(10, 6000)), max_size=14),
    st.integers(500, 4000),
    st.integers(4000, 9000),
    st.integers(0, 1),
)
def test_pieces_are_in_order_within_the_cap_and_hold_everything_loud(
    stretches: list[tuple[bool, int]], target_ms: int, cap_ms: int, torn: int
) -> None:
    pcm = speech(*stretches)
    pcm = pcm[: len(pcm) - 2 * 37 * torn]
    length_ms = -(-len(pcm) * 1000 // (2 * RATE))
    pieces = levels.cut_points(pcm, RATE, target_ms, cap_ms, threshold=500)
    position = 0
    for start, end in pieces:
        assert position <= start < end <= length_ms
        assert end - start <= cap_ms
        assert audioop.max(pcm[16 * position : 16 * start], 2) < 707
        position = end
    assert audioop.max(pcm[16 * position :], 2) < 707
