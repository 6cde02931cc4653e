"""Audio that carries its text: exact through telephony, and never a wrong text."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.engines import modem
from localcloud.engines.pace import natural_ms
from localcloud.nls.files import Recording
from support import carriage, recordings

TEXTS = (
    "您好，您的验证码是482913，请在五分钟内输入。",
    "Thank you for calling. Your appointment is on Tuesday at ten o'clock.",
    "a",
    "👩‍👩‍👧‍👦 café",
)


def spoken(text: str, rate_hz: int = 8000, **more: object) -> bytes:
    return modem.encode(text, rate_hz=rate_hz, duration_ms=natural_ms(text), **more)  # type: ignore[arg-type]


def heard(pcm: bytes, rate_hz: int = 8000) -> list[str]:
    return [found.text for found in modem.decode(pcm, rate_hz)]


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("text", TEXTS)
def test_every_text_comes_back_at_every_rate(text: str, rate_hz: int) -> None:
    assert heard(spoken(text, rate_hz), rate_hz) == [text]


CARRIAGES: dict[str, Callable[[bytes], tuple[bytes, int]]] = {
    "down to 8 kHz and up again": lambda p: (
        carriage.resampled(carriage.resampled(p, 16000, 8000), 8000, 16000),
        16000,
    ),
    "mu-law at 8 kHz": lambda p: (carriage.mulaw(carriage.resampled(p, 16000, 8000)), 8000),
    "A-law at 8 kHz": lambda p: (carriage.alaw(carriage.resampled(p, 16000, 8000)), 8000),
    "MP3 at 64 kbit/s": lambda p: (carriage.mp3(p, 16000), 16000),
    "MP3 at 16 kbit/s and 8 kHz": lambda p: (carriage.mp3(carriage.resampled(p, 16000, 8000), 8000, 16000), 8000),
    "very quiet": lambda p: (carriage.gain(p, 0.002), 16000),
    "clipped": lambda p: (carriage.gain(p, 4), 16000),
    "noise 10 dB below": lambda p: (carriage.noisy(p, 10), 16000),
    "silence around": lambda p: (bytes(2 * 7919) + p + bytes(2 * 4001), 16000),
    "all at once": lambda p: (
        carriage.mp3(
            carriage.resampled(carriage.mulaw(carriage.gain(carriage.resampled(p, 16000, 8000), 0.3)), 8000, 16000),
            16000,
        ),
        16000,
    ),
}


@pytest.mark.parametrize("way", CARRIAGES)
@pytest.mark.parametrize("text", TEXTS)
def test_the_text_survives(text: str, way: str) -> None:
    pcm, rate_hz = CARRIAGES[way](spoken(text, 16000))
    assert heard(pcm, rate_hz) == [text]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4),
    st.integers(0, 400),
    st.sampled_from([0.3, 1.0, 2.0]),
)
def test_any_utterances_joined_come_back_in_order(texts: list[str], offset: int, pace: float) -> None:
    pcm = b"".join(modem.encode(t, rate_hz=8000, duration_ms=natural_ms(t) * pace) for t in texts)
    assert heard(carriage.mulaw(bytes(2 * offset) + pcm)) == texts


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.6, 0.9])
def test_a_cut_off_utterance_is_nothing_rather_than_wrong(kept: float) -> None:
    pcm = spoken(TEXTS[1])
    assert heard(pcm[: int(len(pcm) * kept) // 2 * 2]) == []


def test_a_lost_middle_is_nothing_rather_than_wrong() -> None:
    pcm = spoken(TEXTS[1])
    assert heard(pcm[: len(pcm) // 4 * 2] + pcm[len(pcm) // 4 * 2 + 4000 :]) == []


def music() -> bytes:
    time_s = np.arange(8000 * 20) / 8000
    notes = 220 * 2 ** (np.floor(time_s * 4) % 12 / 12)
    wave = sum(np.sin(2 * np.pi * np.cumsum(notes * k) / 8000) / k for k in (1, 2, 3, 4))
    return (wave * 6000).astype("<i2").tobytes()


@pytest.mark.parametrize(
    "other",
    [
        bytes(16000),
        np.random.default_rng(3).normal(0, 4000, 8000 * 60).astype("<i2").tobytes(),
        (np.sign(np.sin(np.arange(8000 * 5) / 9.0)) * 9000).astype("<i2").tobytes(),
        music(),
        b"",
        b"\x01",
    ],
    ids=["silence", "noise", "buzz", "music", "nothing", "half a sample"],
)
def test_other_sounds_carry_no_text(other: bytes) -> None:
    assert heard(other) == []


def test_the_audio_is_the_same_every_time_and_differs_by_voice_and_pitch() -> None:
    assert spoken("hello") == spoken("hello")
    assert len({spoken("hello"), spoken("hello", voice="aixia"), spoken("hello", pitch_rate=300)}) == 3


def test_the_peak_is_as_asked_and_energy_lies_in_the_telephone_band() -> None:
    samples = np.frombuffer(spoken(TEXTS[1], 16000), "<i2") / 32768
    assert 0.45 < np.abs(samples).max() <= 0.5
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / 16000)
    assert spectrum[(hz > 290) & (hz < 3400)].sum() > 0.999 * spectrum.sum()


@pytest.mark.parametrize("text", [t for t in TEXTS if len(t) > 5])
def test_the_length_is_near_natural_speech(text: str) -> None:
    ms = len(spoken(text)) / 16
    assert 0.9 < ms / natural_ms(text) < 1.4


def test_where_an_utterance_lies_is_told() -> None:
    (found,) = modem.decode(bytes(2 * 8000) + spoken("where am I") + bytes(2 * 8000), 8000)
    assert found.begin_s == pytest.approx(1.0 + modem.HEAD_MS / 1000, abs=0.002)
    assert found.end_s == pytest.approx(1.0 + (len(spoken("where am I")) / 16 - modem.TAIL_MS) / 1000, abs=0.002)


def test_a_sentence_takes_less_than_30_ms_of_work_each_way() -> None:
    best_speak = best_hear = 1.0
    for _ in range(5):
        start = time.thread_time()
        pcm = spoken(TEXTS[1], 16000)
        middle = time.thread_time()
        heard(pcm, 16000)
        best_speak = min(best_speak, middle - start)
        best_hear = min(best_hear, time.thread_time() - middle)
    assert best_speak < 0.03
    assert best_hear < 0.03


def over_a_call(pcm: bytes, rate_hz: int, kind: str) -> bytes:
    """The first channel of a stereo call whose other side talks, as the file service decodes it."""
    other = recordings.babble(len(pcm) // 2 + 4000, rate_hz)
    data = recordings.encoded(kind, pcm, other, rate_hz=rate_hz)
    file = Recording(data)
    return b"".join(piece[0] for piece in file.pieces(rate_hz, 3_600_000))


@pytest.mark.parametrize("kind", ["wav", "ulaw", "mp3", "flac"])
@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("text", TEXTS)
def test_one_side_of_a_stereo_call_is_read_exactly_while_the_other_side_talks(text, rate_hz: int, kind: str) -> None:
    assert heard(over_a_call(spoken(text, rate_hz), rate_hz, kind), rate_hz) == [text]


@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_text_is_read_from_one_side_of_a_telephone_call(text: str) -> None:
    assert heard(over_a_call(spoken(text), 8000, "ulaw")) == [text]


def test_the_side_that_talks_is_not_understood_as_text() -> None:
    assert heard(recordings.babble(8000 * 20, 8000)) == []


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(categories=("Lo", "Ll", "Nd"), max_codepoint=0x9FFF), min_size=20, max_size=120))
def test_the_length_is_in_proportion_to_the_text(text: str) -> None:
    once, twice = (len(spoken(part)) / 16 - modem.HEAD_MS - modem.TAIL_MS for part in (text, text * 2))
    fixed_ms = modem.BASE_MS * (len(modem.SYNC) + modem.HEADER_BYTES + modem.CRC_BYTES)
    assert twice / once == pytest.approx(2, rel=0.15)
    # Never shorter than speech, save for rounding to whole milliseconds a byte; longer where 20 ms a byte need it.
    bytes_ms = len(text.encode()) * modem.BASE_MS
    longest_ms = max(natural_ms(text), bytes_ms) + fixed_ms + len(text.encode())
    assert 0.85 * min(natural_ms(text), len(text.encode()) * modem.MAX_SPACING_MS) <= once <= longest_ms
