"""What the speech service says of a whole recording: sentences with their channel, times and words.

It is another party's answer, so nothing in it is believed: what is not of its type is left out, and times are put in
order. Files answer with words beside the sentences, flash recognition with words inside of them and their times as
text (documentation of both); here they become one shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

LONGEST_MS: Final = 24 * 3600 * 1000
MOST_SENTENCES: Final = 100_000
MOST_WORDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Word:
    """One word. `end_ms` is not before `start_ms`."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence on one channel (0 or 1), with its words where the service told them."""

    start_ms: int
    end_ms: int
    channel: int
    text: str
    words: tuple[Word, ...] = ()


def of_file(result: object) -> tuple[Sentence, ...]:
    """The sentences of `Result` of GetTaskResult: `Words` stand beside `Sentences`, with times of their own."""
    told = result if isinstance(result, Mapping) else {}
    words: dict[int, list[Word]] = {}
    for raw in _list(told.get("Words"), MOST_WORDS):
        channel = _channel(raw.get("ChannelId"))
        words.setdefault(channel, []).append(_word(raw.get("BeginTime"), raw.get("EndTime"), raw.get("Word")))
    for spoken in words.values():
        spoken.sort(key=lambda word: word.start_ms)
    found = sorted(
        (
            _sentence(raw.get("BeginTime"), raw.get("EndTime"), raw.get("ChannelId"), raw.get("Text"))
            for raw in _list(told.get("Sentences"), MOST_SENTENCES)
        ),
        key=lambda sentence: (sentence.start_ms, sentence.channel),
    )
    return tuple(_with_words(found, words))


def of_flash(sentences: object) -> tuple[Sentence, ...]:
    """The sentences of `flash_result`; their words carry their punctuation apart."""
    found = []
    for raw in _list(sentences, MOST_SENTENCES):
        words = [
            _word(word.get("begin_time"), word.get("end_time"), f"{_text(word.get('text'))}{_text(word.get('punc'))}")
            for word in _list(raw.get("words"), MOST_WORDS)
        ]
        one = _sentence(raw.get("begin_time"), raw.get("end_time"), raw.get("channel_id"), raw.get("text"))
        found.append(Sentence(one.start_ms, one.end_ms, one.channel, one.text, tuple(w for w in words if w.text)))
    return tuple(sorted(found, key=lambda sentence: (sentence.start_ms, sentence.channel)))


def _with_words(sentences: Sequence[Sentence], words: Mapping[int, Sequence[Word]]) -> list[Sentence]:
    """Give each sentence the words of its channel that begin before the channel's next sentence does."""
    made = []
    taken = dict.fromkeys(words, 0)
    following: dict[int, int] = {}
    ends: list[int] = []
    for sentence in reversed(sentences):
        ends.append(following.get(sentence.channel, LONGEST_MS + 1))
        following[sentence.channel] = sentence.start_ms
    for sentence, end_ms in zip(sentences, reversed(ends), strict=True):
        spoken, at = words.get(sentence.channel, ()), taken.get(sentence.channel, 0)
        to = at
        while to < len(spoken) and spoken[to].start_ms < end_ms:
            to += 1
        taken[sentence.channel] = to
        own = tuple(word for word in spoken[at:to] if word.text)
        made.append(Sentence(sentence.start_ms, sentence.end_ms, sentence.channel, sentence.text, own))
    return made


def _sentence(start: object, end: object, channel: object, text: object) -> Sentence:
    start_ms = _ms(start)
    return Sentence(start_ms, max(_ms(end), start_ms), _channel(channel), _text(text))


def _word(start: object, end: object, text: object) -> Word:
    start_ms = _ms(start)
    return Word(start_ms, max(_ms(end), start_ms), _text(text))


def _list(value: object, most: int) -> list[Mapping[str, Any]]:
    return [each for each in value[:most] if isinstance(each, Mapping)] if isinstance(value, list) else []


def _ms(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_MS:
        return 0
    return int(value)


def _channel(value: object) -> int:
    return 1 if value == 1 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
