"""Sentences are cut by what was sent, however it was sliced."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.nls.segmenter import Begin, End, Segmenter

RATE_HZ = 8000


def sound(ms: int) -> bytes:
    return (np.sin(np.arange(RATE_HZ * ms // 1000) / 3) * 3000).astype("<i2").tobytes()


def silence(ms: int) -> bytes:
    return bytes(RATE_HZ * ms // 1000 * 2)


def times(events: list[Begin | End]) -> list[tuple[str, int, int]]:
    return [("begin" if isinstance(e, Begin) else "end", e.index, e.time_ms) for e in events]


PCM = silence(500) + sound(1000) + silence(900) + sound(700) + silence(300)
EXPECTED = [("begin", 1, 500), ("end", 1, 2300), ("begin", 2, 2400), ("end", 2, 3400)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000))
def test_slices_do_not_matter(size: int) -> None:
    segmenter = Segmenter(RATE_HZ)
    events = [event for at in range(0, len(PCM), size) for event in segmenter.feed(PCM[at : at + size])]
    assert times(events + segmenter.finish()) == EXPECTED


def test_a_sentence_holds_a_little_audio_before_it_and_all_of_it() -> None:
    segmenter = Segmenter(RATE_HZ)
    _, end = segmenter.feed(silence(500) + sound(1000) + silence(900))
    assert isinstance(end, End)
    assert end.begin_ms == 500
    assert sound(1000) in end.pcm
    assert len(end.pcm) // 16 == pytest.approx(200 + 1000 + 800, abs=30)


def test_faint_noise_and_single_clicks_are_no_speech() -> None:
    segmenter = Segmenter(RATE_HZ)
    noise = np.random.default_rng(0).normal(0, 30, RATE_HZ).astype("<i2").tobytes()
    assert segmenter.feed(noise + sound(10) + silence(500)) == []


def test_an_endless_sentence_is_cut_after_a_minute() -> None:
    segmenter = Segmenter(RATE_HZ)
    events = segmenter.feed(sound(61_000))
    assert [kind for kind, _, _ in times(events)] == ["begin", "end", "begin"]
