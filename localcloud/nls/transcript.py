"""A whole recording recognised: its sentences on each channel, with times, words and loudness."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from localcloud.engines import Engine
from localcloud.engines.pace import is_wide, natural_ms
from localcloud.nls.files import Recording
from localcloud.nls.recognition import hear
from localcloud.nls.segmenter import LONGEST_MS, Begin, End, Segmenter

_TOKEN = re.compile(r"[A-Za-z0-9À-ɏ]+(?:['’][A-Za-z]+)?|\w|[^\w\s]|\S")


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the punctuation after it."""

    text: str
    punctuation: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of one channel; `level_db` is the level of its samples, 0 to 90."""

    channel: int
    begin_ms: int
    end_ms: int
    text: str
    level_db: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. `voiced` tells whether anything was loud enough to be a sentence, understood or not."""

    duration_ms: int
    channels: int
    voiced: bool
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """How a recording is taken.

    Attributes
    ----------
    rate_hz
        Of the model: samples are brought to it.
    channels
        At most so many channels are recognised.
    silence_ms, longest_ms
        What ends a sentence.
    limit_ms
        Longer recordings are refused.
    """

    rate_hz: int
    channels: int
    limit_ms: int
    silence_ms: int = 800
    longest_ms: int = LONGEST_MS


async def transcribe(recording: Recording, cut: Cut, engine: Engine) -> Transcript:
    """Recognise the recording sentence by sentence; no more than a sentence of it is held in memory.

    Raises
    ------
    Unreadable
        When the file is damaged or too long.
    Refusal
        51040101 when the engine fails.
    """
    channels = min(recording.channels, cut.channels)
    ends = _ends(recording, cut, channels)
    heard: list[Sentence] = []
    voiced, duration_ms = False, 0
    while (step := await asyncio.to_thread(next, ends, None)) is not None:
        channel, end, duration_ms = step
        if end is None:
            continue
        voiced = True
        text = await hear(engine, end.pcm, cut.rate_hz)
        if text:
            heard.append(Sentence(channel, end.begin_ms, end.speech_end_ms, text, _level_db(end.pcm)))
    heard.sort(key=lambda sentence: (sentence.begin_ms, sentence.channel))
    return Transcript(duration_ms, channels, voiced, tuple(heard))


def _ends(recording: Recording, cut: Cut, channels: int) -> Iterator[tuple[int, End | None, int]]:
    """Sentences as (channel, its end, milliseconds decoded so far); last (0, None, all)."""
    segmenters = [Segmenter(cut.rate_hz, cut.silence_ms, cut.longest_ms) for _ in range(channels)]
    samples = 0
    for piece in recording.pieces(cut.rate_hz, cut.limit_ms):
        samples += len(piece[0]) // 2
        for channel, segmenter in enumerate(segmenters):
            for event in segmenter.feed(piece[channel]):
                if not isinstance(event, Begin):
                    yield channel, event, samples * 1000 // cut.rate_hz
    duration_ms = samples * 1000 // cut.rate_hz
    for channel, segmenter in enumerate(segmenters):
        for event in segmenter.finish():
            if not isinstance(event, Begin):
                yield channel, event, duration_ms
    yield 0, None, duration_ms


def words_of(sentence: Sentence) -> list[Word]:
    """The words of a sentence, its time shared out by their spoken length; a Chinese character is a word."""
    found: list[list[str]] = []
    for token in _TOKEN.findall(sentence.text):
        if found and not token[0].isalnum():
            found[-1][1] += token
        else:
            found.append([token, ""])
    total_ms = sum(natural_ms(word) for word, _ in found) or 1.0
    scale = (sentence.end_ms - sentence.begin_ms) / total_ms
    words, at = [], float(sentence.begin_ms)
    for word, punctuation in found:
        end = at + natural_ms(word) * scale
        words.append(Word(word, punctuation, round(at), round(end)))
        at = end
    return words


def rate_per_minute(sentence: Sentence) -> int:
    """Characters a minute of a Chinese sentence, words a minute of another."""
    words = words_of(sentence)
    count = sum(is_wide(word.text[0]) for word in words) or len(words)
    return round(count * 60_000 / max(1, sentence.end_ms - sentence.begin_ms))


def _level_db(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    rms = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
    return float(20 * np.log10(max(rms, 1.0)))
