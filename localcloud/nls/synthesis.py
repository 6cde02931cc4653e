"""A synthesis: what was ordered, and its audio as the service sends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.engines import Engine
from localcloud.faults import Faults
from localcloud.nls import parameters, text, voices
from localcloud.nls.containers import SPEECH_FORMATS, mp3, streamed_wav_header
from localcloud.nls.status import (
    ACCESS_DENIED,
    CLIENT_ERROR,
    DIRECTIVE_INVALID,
    TTS_SERVER_ERROR,
    Refusal,
    invalid,
    not_built,
)

FRAME_BYTES = 6896  # the first binary frame in a recorded session
_KNOWN = ("text", "voice", "format", "sample_rate", "volume", "speech_rate", "pitch_rate")
_UNBUILT = ("enable_subtitle", "enable_phoneme_timestamp", "enable_ptts", "method", "session_id")
_OVERRIDES = {"voice": "voice", "encodeType": "format", "sampleRate": "sample_rate", "volume": "volume"} | {
    "rate": "speech_rate",
    "pitch": "pitch_rate",
}


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request for speech."""

    speech: text.Speech
    voice: str
    format: str
    rate_hz: int
    volume: int
    speech_rate: int
    pitch_rate: int


def read_order(values: Mapping[str, Any], *, long: bool = False) -> Order:
    """Check the parameters of short (or long) synthesis.

    Raises
    ------
    Refusal
        As the service refuses: 40010003 without text or with an unknown format, 40000003 for an unknown voice or a
        number out of range, 40000001 for a voice without privilege, 41020001 for bad SSML.
    """
    parameters.refuse_unknown(values, _KNOWN, _UNBUILT)
    wish = values.get("text")
    if wish is None:
        raise Refusal(DIRECTIVE_INVALID, "Gateway:DIRECTIVE_INVALID:No text specified!")
    if not isinstance(wish, str) or not wish.strip():
        raise Refusal(CLIENT_ERROR, "Gateway:CLIENT_ERROR:text is empty")
    emotions = voices.has_emotions(str(values.get("voice", "")))
    speech = (text.read_long if long else text.read_short)(wish, emotions=emotions)
    values = {**values, **_overrides(speech.attributes)}
    audio_format = values.get("format", "pcm")
    if audio_format not in SPEECH_FORMATS:
        raise Refusal(DIRECTIVE_INVALID, f"Gateway:DIRECTIVE_INVALID:Invalid format '{audio_format}'!")
    voice = _voice(values.get("voice", "xiaoyun"), long)
    rate_hz = parameters.number(values, "sample_rate", 16000, 1, 96000)
    if rate_hz not in voices.RATES_HZ[voice]:
        raise invalid(f"Invalid sample_rate '{rate_hz}'!")
    return Order(
        speech,
        voice,
        audio_format,
        rate_hz,
        parameters.number(values, "volume", 50, 0, 100),
        parameters.number(values, "speech_rate", 0, -500, 500),
        parameters.number(values, "pitch_rate", 0, -500, 500),
    )


def count(order: Order, faults: Faults) -> None:
    """Book a synthesis that really starts."""
    faults.add("nls.synthesis")
    faults.add("nls.synthesis.characters", order.speech.characters)
    faults.add("nls.synthesis.calls", text.calls(order.speech.characters))


async def audio(order: Order, engine: Engine) -> AsyncIterator[bytes]:
    """The audio in frames, as fast as the engine makes it. Engine failures are 51020001."""
    held = b""
    if order.format == "wav":
        held = streamed_wav_header(order.rate_hz, order.speech.characters)
    try:
        if order.format == "mp3":
            whole = b"".join([pcm async for pcm in _spoken(order, engine)])
            held = await asyncio.to_thread(mp3, whole, order.rate_hz)
        else:
            async for pcm in _spoken(order, engine):
                held += pcm
                full = len(held) - len(held) % FRAME_BYTES
                for at in range(0, full, FRAME_BYTES):
                    yield held[at : at + FRAME_BYTES]
                held = held[full:]
    except (RuntimeError, OSError, ValueError) as error:
        logging.getLogger(__name__).exception("the speech engine failed")
        raise Refusal(TTS_SERVER_ERROR, "TTS:TtsServerError:[tts]Failed to invoke 'engine'!") from error
    for at in range(0, len(held), FRAME_BYTES):
        yield held[at : at + FRAME_BYTES]


async def _spoken(order: Order, engine: Engine) -> AsyncIterator[bytes]:
    for piece in order.speech.pieces:
        if piece.text:
            yield await engine.speak(
                piece.text,
                voice=order.voice,
                rate_hz=order.rate_hz,
                volume=order.volume,
                speech_rate=order.speech_rate,
                pitch_rate=order.pitch_rate,
            )
        if piece.pause_ms:
            yield bytes(order.rate_hz * piece.pause_ms // 1000 * 2)


def _overrides(attributes: Mapping[str, str]) -> dict[str, str]:
    for name in attributes:
        if name not in _OVERRIDES:
            raise not_built(f"{name} in SSML")
    return {_OVERRIDES[name]: value for name, value in attributes.items()}


def _voice(name: object, long: bool) -> str:
    if not isinstance(name, str) or name not in voices.RATES_HZ:
        raise invalid(f"Invalid voice name '{name}'!")
    if name in voices.LONG_TEXT_ONLY and not long:
        raise Refusal(ACCESS_DENIED, f"Gateway:ACCESS_DENIED:No privilege to this voice! (voice: {name}, privilege: 0)")
    return name
