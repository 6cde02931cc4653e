"""The few things that the demo does to sound itself."""

from __future__ import annotations

import wave
from pathlib import Path


def silence(rate_hz: int, duration_ms: int) -> bytes:
    """16-bit mono silence."""
    return bytes(2 * rate_hz * duration_ms // 1000)


def write_wav(path: Path, pcm: bytes, rate_hz: int) -> None:
    """Write 16-bit mono PCM as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
