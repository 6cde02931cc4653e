"""Decoding of untrusted audio, always in a child process."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """What one decoding may cost."""

    max_bytes: int = 512 * 1024 * 1024
    max_seconds: float = 4 * 3600.0
    wall_seconds: float = 300.0
    cpu_seconds: int = 240
    memory_bytes: int = 1024 * 1024 * 1024  # on top of the file itself


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded audio.

    Attributes
    ----------
    channels
        One or two channels of s16le samples, equally long, kept apart.
    rate_hz
        Rate of `channels`.
    container, codec
        What it was, in FFmpeg's short names (`wav`, `mp3`, `mov`, `ogg`, `flac`; `pcm_s16le`, `aac`, ...).
    source_rate_hz
        The rate in the file.
    damaged
        Packets that could not be decoded and were left out.
    """

    channels: list[bytes] = field(repr=False)
    rate_hz: int
    duration_ms: int
    container: str
    codec: str
    source_rate_hz: int
    damaged: int = 0


async def decode(data: bytes, *, rate_hz: int | None = None, limits: Limits | None = None) -> Decoded:
    """Decode WAV, MP3, MP4/M4A, Ogg or FLAC.

    Parameters
    ----------
    rate_hz
        The rate wanted; `None` keeps 8000 and makes everything else 16000.

    Raises
    ------
    AudioError
        `audio.unreadable`, `audio.empty`, `audio.too_long`, `audio.too_large`, `audio.crashed`, with the reason.
    """
    raise NotImplementedError
