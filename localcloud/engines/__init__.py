"""What stands behind the local speech service: `tone` (instant, exact, any Unicode text) and `speech` (real voices).

An engine knows nothing of the service's protocol, quotas or faults; it turns text into samples and samples into text.
"""

from __future__ import annotations

from typing import Protocol

NAMES = ("tone", "speech")


class EngineUnavailable(RuntimeError):
    """An engine cannot run here; the message says what is missing and what to use instead."""


class Engine(Protocol):
    """Text to samples and back. Safe to call concurrently from one event loop."""

    async def speak(
        self, text: str, *, voice: str, rate_hz: int, volume: int, speech_rate: int, pitch_rate: int
    ) -> bytes:
        """Speak plain text (no SSML).

        Parameters
        ----------
        text
            What to say; text with nothing to speak gives `b""`.
        voice
            A voice name of the service, already checked.
        rate_hz
            Samples a second of the answer.
        volume, speech_rate, pitch_rate
            0..100 (50 is normal), -500..500 (0 is normal), -500..500, as in the service's requests.

        Returns
        -------
        bytes
            Signed 16-bit little-endian mono samples.
        """
        ...

    async def recognise(self, pcm: bytes, rate_hz: int) -> str:
        """The text spoken in signed 16-bit little-endian mono samples; `""` when there is none."""
        ...

    async def close(self) -> None:
        """Release threads and child processes. May be called twice."""
        ...


def make(name: str) -> Engine:
    """The engine of that name.

    Raises
    ------
    ValueError
        For a name that is not in `NAMES`.
    EngineUnavailable
        When a package of the engine is missing.
    """
    if name == "tone":
        from localcloud.engines.tone import ToneEngine

        return ToneEngine()
    if name == "speech":
        from localcloud.engines.speech import SpeechEngine

        return SpeechEngine()
    raise ValueError(f"engine {name!r}: choose one of {', '.join(NAMES)}")
