"""What a prompt must sound like on a telephone line: levels, clipping, head, tail and joins, for every rendition.

The joins are judged by the residual of linear prediction (order 12): speech and tones are predicted well from the
samples before, a hard cut or a header left in the samples is not. The gate of 3 lies far from both.
"""

from __future__ import annotations

import audioop
import math
from array import array

import numpy as np
import pytest

from functions.prompts import mastering
from functions.prompts.rendition import RENDITIONS, Rendition, derive
from isikit.audio import g711, wav

MASTER_HZ = 16000
ORDER = 12
LOSSLESS = [each for each in RENDITIONS.values() if each.encoding != "mp3"]


def speech(milliseconds: int, rate_hz: int = MASTER_HZ, level: float = 9000, seed: int = 1) -> bytes:
    """Something with the spectrum and the envelope of speech: noise through formants, in syllables of 200 ms."""
    count = rate_hz * milliseconds // 1000
    chance = np.random.default_rng(seed)
    at = np.arange(count) / rate_hz
    wave = sum(
        np.sin(2 * math.pi * hz * at + chance.uniform(0, 6)) / number
        for number, hz in enumerate((140, 280, 420, 700, 1120, 1700, 2400), 1)
    )
    envelope = np.sin(math.pi * at / 0.2) ** 2
    return np.asarray(wave * envelope * level / 2, "<i2").tobytes()


def samples(rendition: Rendition, body: bytes) -> bytes:
    data = wav.read(body).data if rendition.container == "wav" else body
    return {"mulaw": g711.decode_mulaw, "alaw": g711.decode_alaw}.get(rendition.encoding, bytes)(data)


def residual_peak_over_median(pcm: bytes, rate_hz: int, block_ms: int = 20) -> float:
    """The largest residual of linear prediction in a block over the median of blocks, in tenths of what is audible."""
    signal = np.frombuffer(pcm, "<i2").astype(float)
    size = rate_hz * block_ms // 1000
    peaks = []
    for start in range(0, len(signal) - size, size):
        block = signal[start : start + size]
        if np.sqrt(np.mean(block**2)) < 100:
            continue
        columns = np.stack([block[ORDER - lag - 1 : len(block) - lag - 1] for lag in range(ORDER)], axis=1)
        weights, *_ = np.linalg.lstsq(columns, block[ORDER:], rcond=None)
        peaks.append(float(np.max(np.abs(block[ORDER:] - columns @ weights))) + 1.0)
    return max(peaks) / float(np.median(peaks))


def true_peak_db(pcm: bytes, rate_hz: int) -> float:
    """Of the curve between the samples: four times oversampled by zero-filling its spectrum."""
    signal = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.fft.rfft(signal)
    finer = np.fft.irfft(np.concatenate([spectrum, np.zeros(3 * len(signal) // 2)]), 4 * len(signal)) * 4
    return 20 * math.log10(max(float(np.max(np.abs(finer))), 1) / 32768)


@pytest.mark.parametrize("rendition", LOSSLESS, ids=lambda each: each.filename)
@pytest.mark.parametrize("level", [1000.0, 9000.0, 40000.0])
def test_no_rendition_clips_or_peaks_above_one_decibel_below_full_scale(rendition: Rendition, level: float) -> None:
    loud = np.clip(np.frombuffer(speech(1000), "<i2") * (level / 9000), -32768, 32767).astype("<i2").tobytes()
    pcm = samples(rendition, derive(mastering.join([loud], MASTER_HZ), MASTER_HZ, rendition).body)
    assert true_peak_db(pcm, rendition.sample_rate_hz) <= -1.0
    full = [abs(sample) >= 32124 for sample in array("h", pcm)]
    assert not any(all(full[at : at + 3]) for at in range(len(full) - 2))


@pytest.mark.parametrize("rendition", LOSSLESS, ids=lambda each: each.filename)
def test_the_level_is_the_voices_own_and_there_is_no_direct_current(rendition: Rendition) -> None:
    master = mastering.join([speech(2000)], MASTER_HZ)
    pcm = samples(rendition, derive(master, MASTER_HZ, rendition).body)
    change_db = 20 * math.log10(audioop.rms(pcm, 2) / audioop.rms(master, 2))
    assert abs(change_db) < 0.3
    assert abs(audioop.avg(pcm, 2)) < 0.005 * 32768


@pytest.mark.parametrize("rendition", LOSSLESS, ids=lambda each: each.filename)
@pytest.mark.parametrize(("head_ms", "tail_ms"), [(0, 0), (30, 5), (400, 900)])
def test_head_silence_is_at_most_100_ms_and_the_tail_20_to_300(
    rendition: Rendition, head_ms: int, tail_ms: int
) -> None:
    spoken = bytes(32 * head_ms) + speech(600) + bytes(32 * tail_ms)
    pcm = array("h", samples(rendition, derive(mastering.join([spoken], MASTER_HZ), MASTER_HZ, rendition).body))
    loud = [at for at, sample in enumerate(pcm) if abs(sample) > 300]
    per_ms = rendition.sample_rate_hz / 1000
    assert loud[0] / per_ms <= 115  # the first syllable rises from nothing: 15 ms of it are below what counts as loud
    assert 20 <= (len(pcm) - 1 - loud[-1]) / per_ms <= 300


@pytest.mark.parametrize("rendition", LOSSLESS, ids=lambda each: each.filename)
def test_joins_are_not_heard(rendition: Rendition) -> None:
    pieces = [speech(600, seed=number) for number in range(3)]  # each ends in silence, as the service's do
    pcm = samples(rendition, derive(mastering.join(pieces, MASTER_HZ), MASTER_HZ, rendition).body)
    assert residual_peak_over_median(pcm, rendition.sample_rate_hz) < 3


def test_the_gate_for_joins_hears_a_hard_cut_and_a_header() -> None:
    whole = speech(1200)
    values = np.frombuffer(whole, "<i2")
    top, bottom = 2 * int(np.argmax(values[:10_000])), 2 * int(10_000 + np.argmin(values[10_000:]))
    assert residual_peak_over_median(whole, MASTER_HZ) < 3
    assert residual_peak_over_median(whole[:top] + whole[bottom:], MASTER_HZ) > 3
    assert residual_peak_over_median(whole[:top] + wav.write(b"", MASTER_HZ) + whole[top:], MASTER_HZ) > 3


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.encode_mulaw, g711.decode_mulaw), (g711.encode_alaw, g711.decode_alaw)]
)
def test_g711_of_a_rendition_is_idempotent_and_as_near_as_its_steps_allow(encode, decode) -> None:  # type: ignore[no-untyped-def]
    pcm = mastering.join([speech(1000, level=30000)], MASTER_HZ)
    codes = encode(pcm)
    assert encode(decode(codes)) == codes
    error = np.frombuffer(decode(codes), "<i2").astype(float) - np.frombuffer(pcm, "<i2")
    assert np.all(np.abs(error) <= 4 + (np.abs(np.frombuffer(pcm, "<i2").astype(float)) + 132) / 31)
    snr_db = 10 * math.log10(float(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2) / np.mean(error**2)))
    assert snr_db > 35
