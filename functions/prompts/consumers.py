"""Who will fetch a prompt's URL, and what they can play: one profile per platform.

Sources: Asterisk and FreeSWITCH, read (2026-08); the vendors' pages for the others. A profile decides encoding,
container and rate; a request may repeat them, not contradict them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.prompts.rendition import DEFAULT, Rendition

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Consumer:
    """One platform.

    Attributes
    ----------
    rendition
        What it plays without converting.
    max_bytes, max_duration_ms
        What it refuses beyond, if it says so.
    """

    name: str
    rendition: Rendition
    max_bytes: int | None = None
    max_duration_ms: int | None = None


CONSUMERS: Final = {
    consumer.name: consumer
    for consumer in (
        # Content-Type beats the extension: audio/basic is mu-law, and audio/wav would be taken as 8 kHz PCM only.
        Consumer("asterisk", Rendition("mulaw", "raw", 8000)),
        Consumer("freeswitch", DEFAULT),
        Consumer("jambonz", DEFAULT),
        Consumer("twilio", DEFAULT),
        Consumer("bandwidth", DEFAULT),
        Consumer("sinch", DEFAULT, max_bytes=_MIB),
        # Takes prompts from a bucket only; what it is given there is downloaded here. It is silent on anything else.
        Consumer("amazon-connect", Rendition("mulaw", "wav", 8000), max_bytes=50 * _MIB, max_duration_ms=300_000),
    )
}
"""By the name that requests use."""
