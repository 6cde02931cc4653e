"""G.711 by table: the nearest code for every one of the 65,536 samples.

The usual encoders (audioop, FFmpeg, sox, libsndfile) decode alike but differ in 127 to 1,020 of their encodings,
because they truncate in different places. Here the code whose decoded value lies nearest wins, so the error is at most
half a step of the segment; of two that lie equally near, the one nearer to silence.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

_BIAS: Final = 0x84  # mu-law's segments begin at 132 when samples are 16 bits wide (ITU-T G.711, tables 2a and 2b)


def encode_mulaw(pcm: bytes) -> bytes:
    """s16le samples to mu-law codes, one byte a sample. Negative zero (0x7F) is never written."""
    return bytes(map(_encoder(_mulaw_value).__getitem__, _unsigned(pcm)))


def encode_alaw(pcm: bytes) -> bytes:
    """s16le samples to A-law codes (even bits inverted, as on the wire), one byte a sample."""
    return bytes(map(_encoder(_alaw_value).__getitem__, _unsigned(pcm)))


def decode_mulaw(codes: bytes) -> bytes:
    """Mu-law codes to s16le samples, -32124..32124."""
    return _signed(map(_decoder(_mulaw_value).__getitem__, codes))


def decode_alaw(codes: bytes) -> bytes:
    """A-law codes to s16le samples, -32256..32256."""
    return _signed(map(_decoder(_alaw_value).__getitem__, codes))


def _mulaw_value(code: int) -> int:
    code ^= 0xFF
    magnitude = ((((code & 0x0F) << 3) + _BIAS) << ((code & 0x70) >> 4)) - _BIAS
    return -magnitude if code & 0x80 else magnitude


def _alaw_value(code: int) -> int:
    code ^= 0x55
    segment, step = (code & 0x70) >> 4, code & 0x0F
    magnitude = (step << 4) + 8 if segment == 0 else ((step << 4) + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


@cache
def _decoder(value: Callable[[int], int]) -> tuple[int, ...]:
    return tuple(value(code) for code in range(256))


@cache
def _encoder(value: Callable[[int], int]) -> bytes:
    """The code of every sample, indexed by the sample's 16 bits read as unsigned."""
    # Sorted by value; where two codes mean the same (mu-law's two zeros) the higher one, 0xFF, is the one on the wire.
    codes = sorted({value(code): code for code in range(256)}.items())
    table = bytearray(65536)
    place = 0
    for sample in range(-32768, 32768):
        while place + 1 < len(codes) and _nearer(sample, codes[place][0], codes[place + 1][0]):
            place += 1
        table[sample & 0xFFFF] = codes[place][1]
    return bytes(table)


def _nearer(sample: int, low: int, high: int) -> bool:
    """Whether `high` is the better value for `sample`; a draw goes to the smaller magnitude, at zero to plus."""
    down, up = abs(sample - low), abs(high - sample)
    return up < down or (up == down and abs(high) <= abs(low))


def _unsigned(pcm: bytes) -> array[int]:
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _signed(samples: Iterable[int]) -> bytes:
    pcm = array("h", samples)
    if sys.byteorder == "big":
        pcm.byteswap()
    return pcm.tobytes()
