"""MP3: no tags, the length of the samples, their sound."""

from __future__ import annotations

import io

import av
import pytest

from isikit.audio import mp3
from unit.audio.tones import sine


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_an_mp3_has_the_samples_it_was_given(rate_hz: int) -> None:
    file = mp3.encode(sine(440, rate_hz, 2000), rate_hz)
    assert file[:1] == b"\xff"
    with av.open(io.BytesIO(file), format="mp3") as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.sample_rate, stream.codec_context.channels) == (rate_hz, 1)
        assert sum(frame.samples for frame in container.decode(stream)) == 2 * rate_hz


def test_the_same_samples_give_the_same_file() -> None:
    assert mp3.encode(sine(440, 8000, 300), 8000) == mp3.encode(sine(440, 8000, 300), 8000)


def test_the_bit_rate_is_what_was_asked_for() -> None:
    small, large = (len(mp3.encode(sine(440, 16000, 4000), 16000, kbps)) for kbps in (32, 64))
    assert 1.7 < large / small < 2.3


def test_no_samples_and_strange_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mp3.encode(b"", 8000)
    with pytest.raises(ValueError, match="7000"):
        mp3.encode(b"ab", 7000)
