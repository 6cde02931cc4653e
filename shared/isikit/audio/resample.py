"""Band-limited resampling with FFmpeg's resampler, exact to the sample."""

from __future__ import annotations


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Mono s16le from one rate to another: exactly `round(samples * to_hz / from_hz)` samples come back."""
    raise NotImplementedError
