"""A recognition: what was ordered, and the text of a whole sentence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.account import SpeechProject
from localcloud.engines import Engine
from localcloud.faults import Faults
from localcloud.nls import parameters
from localcloud.nls.containers import RECORDING_FORMATS, recording
from localcloud.nls.status import (
    ASR_SERVER_ERROR,
    BAD_MAX_SILENCE,
    TOO_LONG_SPEECH,
    UNSUPPORTED_FORMAT,
    UNSUPPORTED_SAMPLE_RATE,
    Refusal,
)

SENTENCE_LIMIT_MS = 60_000

# What every model takes. The engines write punctuation and numbers as they do: these switches change nothing.
_COMMON = (
    "format",
    "sample_rate",
    "enable_intermediate_result",
    "enable_punctuation_prediction",
    "enable_inverse_text_normalization",
    "disfluency",
    "vocabulary_id",
    "customization_id",
)
_UNBUILT = (
    "enable_words",
    "enable_semantic_sentence_detection",
    "audio_address",
    "class_vocabulary_id",
    "session_id",
    "enable_multi_thresh_mod",
    "enable_ignore_sentence_timeout",
    "enable_nlp",
)
SENTENCE_ONLY = ("enable_voice_detection", "max_start_silence", "max_end_silence")
REALTIME_ONLY = ("max_sentence_silence",)


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked request for recognition."""

    format: str
    rate_hz: int
    intermediate: bool
    voice_detection: bool
    start_silence_ms: int
    end_silence_ms: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A recognised sentence and how much audio it took."""

    text: str
    duration_ms: int


def read_wish(values: Mapping[str, Any], project: SpeechProject, more: Collection[str]) -> Wish:
    """Check the parameters of a recognition; `more` are those that only this service takes.

    Raises
    ------
    Refusal
        41010100 for an unknown format, 41010101 for a sample rate that is not the project's, 41040205 for a
        sentence silence out of 200..6000 ms, 40000003 for other values out of range.
    """
    parameters.refuse_unknown(values, (*_COMMON, *more), _UNBUILT)
    audio_format = values.get("format", "pcm")
    if audio_format not in RECORDING_FORMATS:
        raise Refusal(UNSUPPORTED_FORMAT)
    rate_hz = parameters.number(values, "sample_rate", 16000, 1, 96000)
    if rate_hz != project.sample_rate_hz:
        raise Refusal(UNSUPPORTED_SAMPLE_RATE)
    tail = "max_sentence_silence" if "max_sentence_silence" in more else "max_end_silence"
    try:
        end_silence_ms = parameters.number(values, tail, 800, 200, 6000)
    except Refusal as error:
        if tail == "max_sentence_silence":
            raise Refusal(BAD_MAX_SILENCE) from error
        raise
    for name in ("enable_punctuation_prediction", "enable_inverse_text_normalization", "disfluency"):
        parameters.flag(values, name)
    return Wish(
        audio_format,
        rate_hz,
        parameters.flag(values, "enable_intermediate_result"),
        parameters.flag(values, "enable_voice_detection"),
        parameters.number(values, "max_start_silence", 60_000, 1, 60_000),
        end_silence_ms,
    )


async def recognise(wish: Wish, data: bytes, engine: Engine, faults: Faults) -> Heard:
    """Recognise a whole sentence and book it. More than 60 s is 41010104."""
    pcm = await asyncio.to_thread(recording, data, wish.format, wish.rate_hz)
    duration_ms = len(pcm) // 2 * 1000 // wish.rate_hz
    if duration_ms > SENTENCE_LIMIT_MS:
        raise Refusal(TOO_LONG_SPEECH)
    faults.add("nls.recognition")
    faults.add("nls.recognition.audio_ms", duration_ms)
    return Heard(await hear(engine, pcm, wish.rate_hz), duration_ms)


async def hear(engine: Engine, pcm: bytes, rate_hz: int) -> str:
    """The engine's text of some samples; its failures are 51040101."""
    try:
        return await engine.recognise(pcm, rate_hz)
    except (RuntimeError, OSError, ValueError) as error:
        logging.getLogger(__name__).exception("the speech engine failed")
        raise Refusal(ASR_SERVER_ERROR) from error


def growing(text: str) -> list[str]:
    """Intermediate results of a sentence: its first third, two thirds."""
    parts = (text[: len(text) * part // 3] for part in (1, 2))
    return [part for part in parts if part]
