"""Levels of PCM, its pauses, and where to cut it for recognition."""

from __future__ import annotations


def rms(pcm: bytes) -> int:
    """Root mean square of s16le samples, 0..32767."""
    raise NotImplementedError


def peak(pcm: bytes) -> int:
    """Largest absolute sample, 0..32768."""
    raise NotImplementedError


def silences(pcm: bytes, rate_hz: int, *, min_ms: int = 300, threshold: int | None = None) -> list[tuple[int, int]]:
    """Stretches (start_ms, end_ms) of mono s16le of at least `min_ms` in which nothing is loud."""
    raise NotImplementedError


def cut_points(
    pcm: bytes, rate_hz: int, target_ms: int = 15_000, cap_ms: int = 55_000, *, threshold: int | None = None
) -> list[tuple[int, int]]:
    """Pieces (start_ms, end_ms) to recognise: cut at pauses, head and tail silence off, none over `cap_ms`."""
    raise NotImplementedError
