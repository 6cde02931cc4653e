"""Text as audible tones and back: one byte a symbol, two tones at once, inside the telephone band.

A frame is 4 sync symbols and a 5-symbol header (length, symbol spacing, check) at 20 ms each, then the UTF-8 bytes and
a CRC-16 at the spacing that the header tells. The spacing is chosen so that the frame lasts as long as the text would
take to say. Each nibble is one of 16 tones 80 Hz apart: four times what 20 ms can tell apart, so that G.711, MP3,
resampling and any sample offset do no harm, while a lost or changed symbol is always noticed.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

BASE_MS = 20
MAX_SPACING_MS = 255
HEAD_MS, TAIL_MS = 20, 60  # silence around a frame, so that joins fall into quiet
RAMP_MS = 4
LOW_HZ = tuple(480 + 80 * k for k in range(16))
HIGH_HZ = tuple(1840 + 80 * k for k in range(16))
SYNC = bytes((0x3C, 0xE1, 0x58, 0xA7))
HEADER_BYTES, CRC_BYTES = 5, 2
DATA_SHARE, DRONE_SHARE = 0.44, 0.12  # of the peak: two data tones and a soft drone
GRID_MS = 4  # step of the search for a sync; a whole part of a symbol
MIN_FRACTION = 0.1  # of a window's energy that each of two tones must hold (0.48 when clean)
SEARCH_BLOCK_S = 2


@dataclass(frozen=True, slots=True)
class Decoded:
    """One utterance found in audio, and where (seconds from the start)."""

    text: str
    begin_s: float
    end_s: float


def encode(
    text: str, *, rate_hz: int, duration_ms: float, peak: float = 0.5, voice: str = "", pitch_rate: int = 0
) -> bytes:
    """The text as signed 16-bit mono samples.

    Parameters
    ----------
    text
        Any Unicode text; lone surrogates are carried too.
    duration_ms
        The wished length; the audio is longer when the bytes need more time (20 ms each) and shorter when
        255 ms a byte do not fill it.
    peak
        The highest amplitude, of 1.0.
    voice, pitch_rate
        Choose the frequency of the drone under the data (300 to 400 Hz), so that they can be heard and change the
        audio.
    """
    body = text.encode("utf-8", "surrogatepass")
    if not body:
        return b""
    body += binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "big")
    fixed_ms = HEAD_MS + TAIL_MS + BASE_MS * (len(SYNC) + HEADER_BYTES)
    spacing_ms = min(max(round((duration_ms - fixed_ms) / len(body)), BASE_MS), MAX_SPACING_MS)
    head = (len(body) - CRC_BYTES).to_bytes(3, "big") + bytes((spacing_ms,))
    head += bytes((_check(head),))
    audio = np.concatenate(
        (
            np.zeros(rate_hz * HEAD_MS // 1000, np.float32),
            _symbols(SYNC + head, BASE_MS, rate_hz),
            _symbols(body, spacing_ms, rate_hz),
        )
    )
    audio += _drone(len(audio), rate_hz, voice, pitch_rate)
    pcm = np.round(audio * (peak * 32767)).astype("<i2")
    return pcm.tobytes() + bytes(2 * (rate_hz * TAIL_MS // 1000))


def decode(pcm: bytes, rate_hz: int) -> list[Decoded]:
    """Every whole utterance in signed 16-bit mono samples, in order. Anything else (speech, noise) gives `[]`."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32)
    found: list[Decoded] = []
    at = 0
    block = SEARCH_BLOCK_S * rate_hz
    overlap = rate_hz * BASE_MS * (len(SYNC) + 1) // 1000
    while at < len(samples):
        start = _find_sync(samples[at : at + block + overlap], rate_hz)
        if start is None:
            at += block
            continue
        frame = _read_frame(samples, at + start, rate_hz)
        if frame is None:
            at += start + rate_hz * GRID_MS // 1000
        else:
            found.append(frame)
            at = round(frame.end_s * rate_hz)
    return found


def _check(head: bytes) -> int:
    return binascii.crc_hqx(head, 0x1D0F) & 0xFF


def _symbols(data: bytes, spacing_ms: int, rate_hz: int) -> Samples:
    """One symbol every `spacing_ms`, each faded in and out, so that symbols follow one another without clicks."""
    length = -(-spacing_ms * rate_hz // 1000)
    time = np.arange(length, dtype=np.float32) / rate_hz
    ramp = rate_hz * RAMP_MS // 1000
    envelope = np.ones(length, np.float32)
    slope = (0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)).astype(np.float32)
    envelope[:ramp], envelope[-ramp:] = slope, slope[::-1]
    tones = [(DATA_SHARE * envelope * np.sin(2 * np.pi * f * time)).astype(np.float32) for f in (*LOW_HZ, *HIGH_HZ)]
    starts = [round(k * spacing_ms * rate_hz / 1000) for k in range(len(data) + 1)]
    out = np.zeros(starts[-1], np.float32)
    for byte, start, end in zip(data, starts[:-1], starts[1:], strict=True):
        out[start:end] = (tones[byte >> 4] + tones[16 + (byte & 15)])[: end - start]
    return out


def _drone(length: int, rate_hz: int, voice: str, pitch_rate: int) -> Samples:
    """A soft continuous tone whose whole number of hertz tells voice and pitch by ear."""
    hz = 330 + hashlib.md5(voice.encode()).digest()[0] % 41 + pitch_rate * 25 // 500
    second = np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz).astype(np.float32) * DRONE_SHARE
    drone = np.resize(second, length)
    ramp = min(rate_hz // 100, length // 2)
    slope = np.linspace(0, 1, ramp, dtype=np.float32)
    drone[:ramp] *= slope
    drone[length - ramp :] *= slope[::-1]
    return drone


def _basis(frequencies: tuple[int, ...], length: int, rate_hz: int) -> npt.NDArray[np.complex64]:
    time = np.arange(length) / rate_hz
    window = np.hamming(length)
    waves = window[:, None] * np.exp(-2j * np.pi * time[:, None] * np.array(frequencies)[None, :])
    basis: npt.NDArray[np.complex64] = (waves / window.sum()).astype(np.complex64)
    return basis


def _fractions(windows: Samples, basis: npt.NDArray[np.complex64]) -> Samples:
    """The share of each window's energy that lies in each tone; independent of volume."""
    power = np.abs(windows @ basis.real) ** 2 + np.abs(windows @ basis.imag) ** 2
    energy = np.einsum("ij,ij->i", windows, windows) / windows.shape[1]
    energy[energy < 1.0] = np.inf  # below one step of 16 bits there is nothing to hear
    fractions: Samples = (2 * power / energy[:, None]).astype(np.float32)
    return fractions


def _find_sync(samples: Samples, rate_hz: int) -> int | None:
    """The first sample of the first sync in `samples`."""
    width, grid = rate_hz * BASE_MS // 1000, rate_hz * GRID_MS // 1000
    span = rate_hz * BASE_MS * len(SYNC) // 1000
    if len(samples) < span:
        return None
    tones = tuple(f for byte in SYNC for f in (LOW_HZ[byte >> 4], HIGH_HZ[byte & 15]))
    basis = _basis(tones, width, rate_hz)
    views: Any = np.lib.stride_tricks.sliding_window_view(samples, width)
    fractions = _fractions(np.ascontiguousarray(views[::grid]), basis)
    shift = BASE_MS // GRID_MS
    count = len(fractions) - 3 * shift
    if count <= 0:
        return None
    worst = np.min([fractions[k * shift : k * shift + count, 2 * k : 2 * k + 2].min(axis=1) for k in range(4)], axis=0)
    hits = np.flatnonzero(worst > MIN_FRACTION)
    if not len(hits):
        return None
    first = int(hits[0])
    peak = first + int(np.argmax(worst[first : first + 2 * shift]))
    return _refine(samples, peak * grid, grid, rate_hz)


def _refine(samples: Samples, near: int, reach: int, rate_hz: int) -> int:
    """The start at which the four sync symbols stand out best, to a quarter of a millisecond."""
    width = rate_hz * BASE_MS // 1000
    basis = [_basis((LOW_HZ[b >> 4], HIGH_HZ[b & 15]), width, rate_hz) for b in SYNC]
    best, best_start = -1.0, near
    for start in range(max(0, near - reach), near + reach + 1, max(1, rate_hz // 4000)):
        if start + 4 * width > len(samples):
            break
        windows = samples[start : start + 4 * width].reshape(4, 1, width)
        score = sum(float(np.abs(windows[k] @ basis[k]).sum()) for k in range(4))
        if score > best:
            best, best_start = score, start
    return best_start


def _read_frame(samples: Samples, start: int, rate_hz: int) -> Decoded | None:
    """The frame whose sync begins at `start`, or None when it is cut off or damaged."""
    width = rate_hz * BASE_MS // 1000
    at = start + len(SYNC) * width
    head = _read_bytes(samples, at, HEADER_BYTES, BASE_MS, rate_hz)
    if head is None or head[4] != _check(head[:4]) or head[3] < BASE_MS:
        return None
    length, spacing_ms = int.from_bytes(head[:3], "big"), head[3]
    at += HEADER_BYTES * width
    body = _read_bytes(samples, at, length + CRC_BYTES, spacing_ms, rate_hz)
    if body is None or binascii.crc_hqx(body, 0xFFFF):
        return None
    end = at + (length + CRC_BYTES) * spacing_ms * rate_hz // 1000
    text = body[:-CRC_BYTES].decode("utf-8", "surrogatepass")
    return Decoded(text, max(0, start) / rate_hz, end / rate_hz)


def _read_bytes(samples: Samples, at: int, count: int, spacing_ms: int, rate_hz: int) -> bytes | None:
    width = rate_hz * BASE_MS // 1000
    middle = (spacing_ms - BASE_MS) * rate_hz / 2000
    starts = np.round(at + middle + np.arange(count) * (spacing_ms * rate_hz / 1000)).astype(np.int64)
    if not count or starts[-1] + width > len(samples) + rate_hz // 500:
        return None
    if starts[-1] + width > len(samples):
        samples = np.pad(samples, (0, width))
    windows = samples[starts[:, None] + np.arange(width)[None, :]]
    power = np.abs(windows @ _basis((*LOW_HZ, *HIGH_HZ), width, rate_hz))
    nibbles = power[:, :16].argmax(axis=1) << 4 | power[:, 16:].argmax(axis=1)
    return bytes(nibbles.astype(np.uint8))
