"""WAV files with true sizes: 44 bytes of header before PCM, 58 before G.711."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Wav:
    """What a WAV file holds. `data` is in `encoding`: s16le samples, or one G.711 code a sample."""

    data: bytes = field(repr=False)
    rate_hz: int
    channels: int
    encoding: str


def write(data: bytes, rate_hz: int, channels: int = 1, encoding: str = "pcm_s16le") -> bytes:
    """Wrap `data`, **already in** `encoding` (`pcm_s16le`, `mulaw` or `alaw`), in a WAV container."""
    raise NotImplementedError


def read(file: bytes) -> Wav:
    """Read a WAV file of one of the three encodings; `AudioError` for anything else."""
    raise NotImplementedError
