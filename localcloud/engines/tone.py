"""The `tone` engine: audio that carries its text exactly, so that fast tests can check what was really said."""

from __future__ import annotations

import asyncio

from localcloud.engines import modem
from localcloud.engines.pace import amplitude, natural_ms, stretch


class ToneEngine:
    """Speaks any Unicode text as tones of a natural length, instantly and deterministically.

    Several utterances in one recording are recognised joined by a space.
    """

    async def speak(
        self, text: str, *, voice: str, rate_hz: int, volume: int, speech_rate: int, pitch_rate: int
    ) -> bytes:
        """See `Engine.speak`. Voice and pitch only colour the drone under the tones."""
        return await asyncio.to_thread(
            modem.encode,
            text,
            rate_hz=rate_hz,
            duration_ms=natural_ms(text) * stretch(speech_rate),
            peak=amplitude(volume),
            voice=voice,
            pitch_rate=pitch_rate,
        )

    async def recognise(self, pcm: bytes, rate_hz: int) -> str:
        """See `Engine.recognise`; exact, or nothing."""
        return await asyncio.to_thread(recognise, pcm, rate_hz)

    async def close(self) -> None:
        """Nothing to release."""


def recognise(pcm: bytes, rate_hz: int) -> str:
    """The utterances found in the samples, joined by a space."""
    return " ".join(found.text for found in modem.decode(pcm, rate_hz))
