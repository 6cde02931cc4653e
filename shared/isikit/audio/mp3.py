"""MP3 by LAME."""

from __future__ import annotations


def encode(pcm: bytes, rate_hz: int, bitrate_kbps: int = 48) -> bytes:
    """Mono s16le to an MP3 file (8000, 16000 or 24000 Hz)."""
    raise NotImplementedError
