"""Resampling: exact lengths, a flat pass band, nothing above the new Nyquist frequency, no clicks."""

from __future__ import annotations

import audioop
import itertools
import math
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isikit.audio.resample import resample
from unit.audio.tones import sine

RATES = [(16000, 8000), (24000, 8000), (24000, 16000), (22050, 16000), (22050, 8000), (48000, 16000), (8000, 16000)]


def gain_db(frequency_hz: float, from_hz: int, to_hz: int) -> float:
    """Level after resampling against before, in the middle of the tone."""
    out = resample(sine(frequency_hz, from_hz, 400), from_hz, to_hz)
    middle = out[len(out) // 8 * 2 : -len(out) // 8 * 2]
    return 20 * math.log10(max(audioop.rms(middle, 2), 0.1) / (20000 / math.sqrt(2)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.sampled_from(RATES))
def test_the_length_is_exact(samples: int, rates: tuple[int, int]) -> None:
    from_hz, to_hz = rates
    assert len(resample(bytes(2 * samples), from_hz, to_hz)) == 2 * round(samples * to_hz / from_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_the_pass_band_is_flat(from_hz: int, to_hz: int) -> None:
    nyquist = min(from_hz, to_hz) / 2
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.85, 0.9):
        assert abs(gain_db(share * nyquist, from_hz, to_hz)) < 0.5, share


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in RATES if pair[0] > pair[1]])
def test_nothing_above_the_new_nyquist_frequency_is_left(from_hz: int, to_hz: int) -> None:
    share = 1.002
    while share * to_hz / 2 < from_hz / 2:
        assert gain_db(share * to_hz / 2, from_hz, to_hz) < -60, share
        share *= 1.07


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_the_signal_is_not_delayed(from_hz: int, to_hz: int) -> None:
    out = array("h", resample(sine(440, from_hz), from_hz, to_hz))
    wanted = array("h", sine(440, to_hz))
    edge = to_hz // 50
    assert max(abs(a - b) for a, b in zip(out[edge:-edge], wanted[edge:-edge], strict=True)) <= 4


def test_there_are_no_clicks_at_the_ends() -> None:
    out = array("h", resample(sine(300, 24000), 24000, 8000))
    steepest = 20000 * 2 * math.pi * 300 / 8000
    assert max(abs(b - a) for a, b in itertools.pairwise(out)) < 1.2 * steepest


def test_the_same_rate_changes_nothing() -> None:
    pcm = sine(440, 8000, 50)
    assert resample(pcm, 8000, 8000) is pcm


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="half a sample"):
        resample(b"abc", 16000, 8000)
