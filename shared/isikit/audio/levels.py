"""Levels of PCM, and where to cut it for recognition."""

from __future__ import annotations

import audioop
from collections.abc import Iterable
from typing import Final

FRAME_MS: Final = 10
PAUSE_MS: Final = 300
MARGIN_MS: Final = 200
_LOWEST_THRESHOLD: Final = 64  # -54 dBFS: below it nothing on a telephone line is speech
_HIGHEST_THRESHOLD: Final = 512  # -36 dBFS: quiet speakers lie above it, so a loud floor must not push it higher
_ABOVE_FLOOR: Final = 3  # speech stands at least 10 dB above the noise of its own recording


def threshold_of(pcm: bytes, rate_hz: int) -> int:
    """The RMS from which a 10 ms frame counts as loud: three times the recording's noise floor, between two bounds.

    The floor is the level that a tenth of the frames do not exceed (digital silence left out).
    """
    frames = sorted(level for level in _frames(pcm, rate_hz) if level)
    floor = frames[len(frames) // 10] if frames else 0
    return min(max(_ABOVE_FLOOR * floor, _LOWEST_THRESHOLD), _HIGHEST_THRESHOLD)


def cut_points(
    pcm: bytes, rate_hz: int, target_ms: int = 15_000, cap_ms: int = 55_000, *, threshold: int | None = None
) -> list[tuple[int, int]]:
    """Cut speech into pieces to recognise one by one.

    Pieces grow over pauses of at least 300 ms until they have `target_ms`, and end in a pause, with 200 ms of it on
    either side. Speech that goes on past `cap_ms` without a pause is cut at its quietest moment of the last quarter.

    Parameters
    ----------
    pcm
        Mono s16le.
    threshold
        RMS from which a 10 ms frame is loud; from the recording's own noise when `None`.

    Returns
    -------
    list of (start_ms, end_ms)
        In order, not overlapping, none longer than `cap_ms`; everything loud lies in one of them. Empty for silence.
    """
    if cap_ms < 4 * FRAME_MS or target_ms > cap_ms:
        raise ValueError("a cap below the target, or too short to cut at")
    length_ms = _length_ms(pcm, rate_hz)
    levels = _levels(pcm, rate_hz, threshold)
    pieces: list[tuple[int, int]] = []
    for start, end in _with_margins(_joined(_loud(levels, length_ms)), length_ms):
        if pieces and pieces[-1][1] - pieces[-1][0] < target_ms and end - pieces[-1][0] <= cap_ms:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.extend(_within_cap(start, end, levels, cap_ms))
    return pieces


def _within_cap(start: int, end: int, levels: list[tuple[int, bool]], cap_ms: int) -> Iterable[tuple[int, int]]:
    while end - start > cap_ms:
        first, last = (start + cap_ms * 3 // 4) // FRAME_MS + 1, (start + cap_ms) // FRAME_MS
        cut = min(range(first, last), key=lambda frame: (levels[frame][0], -frame)) * FRAME_MS
        yield start, cut
        start = cut
    yield start, end


def _with_margins(stretches: list[tuple[int, int]], length_ms: int) -> Iterable[tuple[int, int]]:
    """Widen stretches by the margin, at most to the middle of the pause between two."""
    for place, (start, end) in enumerate(stretches):
        before = stretches[place - 1][1] if place else 0
        after = stretches[place + 1][0] if place + 1 < len(stretches) else length_ms
        head = start - before if not place else (start - before) // 2
        tail = after - end if place + 1 == len(stretches) else (after - end) // 2
        yield start - min(head, MARGIN_MS), end + min(tail, MARGIN_MS)


def _joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join what is parted by less than a pause."""
    joined: list[tuple[int, int]] = []
    for start, end in stretches:
        if joined and start - joined[-1][1] < PAUSE_MS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _loud(levels: list[tuple[int, bool]], length_ms: int) -> list[tuple[int, int]]:
    """Runs of loud frames as (start_ms, end_ms)."""
    runs: list[tuple[int, int]] = []
    for frame, (_, loud) in enumerate(levels):
        if not loud:
            continue
        start, end = frame * FRAME_MS, min((frame + 1) * FRAME_MS, length_ms)
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def _levels(pcm: bytes, rate_hz: int, threshold: int | None) -> list[tuple[int, bool]]:
    """RMS of every 10 ms frame and whether it is loud; the last frame may be shorter."""
    limit = threshold_of(pcm, rate_hz) if threshold is None else threshold
    return [(level, level >= limit) for level in _frames(pcm, rate_hz)]


def _frames(pcm: bytes, rate_hz: int) -> list[int]:
    if len(pcm) % 2:
        raise ValueError("half a sample")
    width = 2 * (rate_hz * FRAME_MS // 1000)
    view = memoryview(pcm)
    return [audioop.rms(view[start : start + width], 2) for start in range(0, len(pcm), width)]


def _length_ms(pcm: bytes, rate_hz: int) -> int:
    """Whole milliseconds, rounded up, so that the last sample lies within."""
    return -(-len(pcm) * 1000 // (2 * rate_hz))
