"""Renditions: one prompt's audio in one encoding, container and rate, derived from the stored master.

What a rendition is called, which extension ends its URL and which type it is sent as are what players demand:
Asterisk and mod_http_cache go by the extension, Asterisk takes `audio/basic` for mu-law whatever the extension says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.prompts import mastering
from isikit.audio import g711, mp3, resample, wav

ENCODINGS: Final = ("pcm_s16le", "mulaw", "alaw", "mp3")
CONTAINERS: Final = ("wav", "raw", "mp3")
RATES_HZ: Final = (8000, 16000, 24000)

# Raw PCM is not offered: such a file names neither its rate nor its byte order, no content type tells them in the
# order we have, and Asterisk takes `.pcm` for mu-law. A player that guesses wrong plays noise.
CONTAINERS_OF: Final = {"pcm_s16le": ("wav",), "mulaw": ("raw", "wav"), "alaw": ("raw", "wav"), "mp3": ("mp3",)}
"""Containers an encoding can have, the default first."""

RATES_OF: Final = {"pcm_s16le": RATES_HZ, "mulaw": (8000,), "alaw": (8000,), "mp3": (16000, 8000, 24000)}
"""Rates an encoding can have, the default first. G.711 is defined at 8000 Hz."""

_RAW_TYPES: Final = {"mulaw": ("ulaw", "audio/basic"), "alaw": ("alaw", "audio/PCMA")}


@dataclass(frozen=True, slots=True)
class Rendition:
    """One of the few dozen forms that audio can be had in."""

    encoding: str
    container: str
    sample_rate_hz: int

    @property
    def name(self) -> str:
        """`pcm_s16le-8000`, `mulaw-8000`, `mulaw-wav-8000`: the container is named where it is not the default."""
        inner = "" if self.container == CONTAINERS_OF[self.encoding][0] else f"{self.container}-"
        return f"{self.encoding}-{inner}{self.sample_rate_hz}"

    @property
    def extension(self) -> str:
        """Without the dot."""
        return _RAW_TYPES[self.encoding][0] if self.container == "raw" else self.container

    @property
    def content_type(self) -> str:
        """As players expect it."""
        if self.container == "raw":
            return _RAW_TYPES[self.encoding][1]
        return "audio/mpeg" if self.container == "mp3" else "audio/wav"

    def least_bytes(self, duration_ms: int) -> int:
        """What audio of that length has at least; 0 for MP3, which nobody limits."""
        width = {"pcm_s16le": 2, "mulaw": 1, "alaw": 1}.get(self.encoding, 0)
        return duration_ms * self.sample_rate_hz // 1000 * width

    @property
    def filename(self) -> str:
        """The last part of the URL."""
        return f"{self.name}.{self.extension}"


DEFAULT: Final = Rendition("pcm_s16le", "wav", 8000)

RENDITIONS: Final = {
    rendition.filename: rendition
    for encoding in ENCODINGS
    for container in CONTAINERS_OF[encoding]
    for rate_hz in RATES_OF[encoding]
    for rendition in (Rendition(encoding, container, rate_hz),)
}
"""Every rendition there is, by file name."""

BY_NAME: Final = {rendition.name: rendition for rendition in RENDITIONS.values()}
"""The same by name: no two differ in the extension alone."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A rendition's file."""

    body: bytes
    duration_ms: int


def derive(master: bytes, master_rate_hz: int, rendition: Rendition) -> Derived:
    """Make a rendition. The same master gives the same bytes, on every instance.

    A rate above the master's adds samples, not sound.

    Parameters
    ----------
    master
        Mono s16le samples at `master_rate_hz`.
    """
    rate_hz = rendition.sample_rate_hz
    pcm = resample.resample(master, master_rate_hz, rate_hz)
    if rate_hz != master_rate_hz:
        pcm = mastering.limit_peak(pcm)  # a filter rings: between the old samples there may be higher ones
    duration_ms = round(len(pcm) / 2 * 1000 / rate_hz)
    if rendition.encoding == "mp3":
        return Derived(mp3.encode(pcm, rate_hz), duration_ms)
    data = pcm
    if rendition.encoding == "mulaw":
        data = g711.encode_mulaw(pcm)
    elif rendition.encoding == "alaw":
        data = g711.encode_alaw(pcm)
    if rendition.container == "wav":
        data = wav.write(data, rate_hz, encoding=rendition.encoding)
    return Derived(data, duration_ms)
