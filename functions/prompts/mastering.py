"""From the service's audio to a master: pieces joined, silence at head and tail brought to measure, peaks limited."""

from __future__ import annotations

import audioop
from collections.abc import Sequence
from typing import Final

BLOCK_MS: Final = 5
HEAD_MS: Final = 90
"""Silence left before the first sound, where there was more: callers hear a longer pause as a dead line."""
TAIL_MS: Final = 40
"""Silence after the last sound: Asterisk loses as many bytes of a WAV file's tail as its header has."""

# -1 dBFS is what must hold between the samples too; half a dB below it leaves room for that, and for G.711's steps.
PEAK: Final = int(32767 * 10 ** (-1.5 / 20))
_BELOW_PEAK: Final = 316  # 50 dB: what lies below that is not heard beside the loudest moment


def join(pieces: Sequence[bytes], rate_hz: int, *, trim: bool = True) -> bytes:
    """The master of pieces spoken one by one.

    Nothing is added or taken at the joins: its length is that of the pieces, but for head and tail. It is a whole
    number of milliseconds, so that the duration we state is exact at every rate.

    Parameters
    ----------
    pieces
        Mono s16le at `rate_hz`, in order.
    trim
        Whether longer silence at head and tail is cut. Not for SSML, where a break may be meant.
    """
    joined = b"".join(pieces)
    loud = _loud_span(joined, rate_hz)
    start, end = loud or (0, len(joined))
    tail = end + _bytes(TAIL_MS, rate_hz)
    kept = joined[max(0, start - _bytes(HEAD_MS, rate_hz)) : tail] if trim else joined
    whole = kept + bytes(max(0, tail - len(joined)))
    return limit_peak(whole + bytes(-len(whole) % _bytes(1, rate_hz)))


def limit_peak(pcm: bytes) -> bytes:
    """Turn the whole down if its peak is above -1.5 dBFS; never up, never clipped."""
    peak = audioop.max(pcm, 2)
    return audioop.mul(pcm, 2, PEAK / peak) if peak > PEAK else pcm


def is_silent(pcm: bytes) -> bool:
    """Whether not one sample is set."""
    return audioop.max(pcm, 2) == 0


def _loud_span(pcm: bytes, rate_hz: int) -> tuple[int, int] | None:
    """Byte offsets of the first loud block's start and of the last one's end."""
    threshold = max(1, audioop.max(pcm, 2) // _BELOW_PEAK)
    block = _bytes(BLOCK_MS, rate_hz)
    view = memoryview(pcm)
    loud = [start for start in range(0, len(pcm), block) if audioop.max(view[start : start + block], 2) >= threshold]
    if not loud:
        return None
    return loud[0], min(loud[-1] + block, len(pcm))


def _bytes(milliseconds: int, rate_hz: int) -> int:
    return 2 * (rate_hz * milliseconds // 1000)
