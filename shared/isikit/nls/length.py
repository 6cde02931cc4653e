"""How many characters a text has for the bill, and how long it should take to speak.

The service gives neither figure with its answer. Characters are counted by its rule (every Chinese character, letter,
punctuation mark and inner space is one, SSML tags are none; every started 100 are one call). The length is a
prediction to hold audio against, made from what is spoken: Chinese at about four characters a second [the service's
documentation of speech_rate], English by syllables. The English figures were fitted to 50 sentences of telephone menus
spoken by Piper's voice joe (0.78 to 1.3 times the fit; strings of ten digits read as one number up to 1.8), and then
raised by a fifth, so that half a sentence lies below half of its prediction.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import Final, NamedTuple

CHARACTERS_PER_CALL: Final = 100

_EDGES_MS: Final = 300  # the silence before and after, and the first sound
_CJK_MS: Final = 250
_HANGUL_MS: Final = 180
_KANA_MS: Final = 140
_DIGIT_MS: Final = 290  # "42" is shorter, one by one in English or inside "four hundred eighty-two thousand" longer
_LETTER_MS: Final = 20
_SYLLABLE_MS: Final = 118
_OTHER_LETTER_MS: Final = 70  # Cyrillic, Thai, Arabic ...: about 14 a second
_PAUSE_MS: Final = 115
_SIGN_MS: Final = 100  # $ % / @ and the point inside numbers and addresses: some are words, some are silent
_RAISED_BY: Final = 1.2

_TAG: Final = re.compile(r"<[^>]*>")
_BREAK: Final = re.compile(r"<break\b[^>]*\btime\s*=\s*[\"'](\d+(?:\.\d+)?)(ms|s)[\"']")
_BREAK_WITHOUT_TIME: Final = re.compile(r"<break\s*/?>")
_ALIAS: Final = re.compile(r"<sub\b[^>]*\balias\s*=\s*(?:\"([^\"]*)\"|'([^']*)')[^>]*>.*?</sub\s*>", re.DOTALL)
_RATE: Final = re.compile(r"<speak\b[^>]*\brate\s*=\s*[\"'](-?\d+)[\"']")
_FOREIGN_SOUND: Final = re.compile(r"<soundEvent\b|\bbgm\s*=")
_WORD: Final = re.compile(r"[A-Za-z\u00c0-\u024f']+")
_VOWELS: Final = re.compile(r"[aeiouy\u00e0-\u00ff]+")


class Length(NamedTuple):
    """A prediction in milliseconds.

    Attributes
    ----------
    spoken_ms
        What the words take at the given rate.
    pauses_ms
        Silence that SSML orders.
    extra_ms
        What may come on top: signs that some voices read out, sounds that SSML brings in (`inf`).
    """

    spoken_ms: float
    pauses_ms: float
    extra_ms: float


def characters(text: str, is_ssml: bool = False) -> int:
    """Characters as the service bills them: code points without the white space around them, without SSML tags."""
    return len((unescape(_TAG.sub("", text)) if is_ssml else text).strip())


def billed(text: str, is_ssml: bool = False) -> int:
    """Billed calls: every started 100 characters of one request."""
    return -(-characters(text, is_ssml) // CHARACTERS_PER_CALL)


def expected_ms(text: str, speech_rate: int = 0, is_ssml: bool = False) -> int:
    """How long the text should take, in milliseconds; a fifth above what a quick voice needs.

    Parameters
    ----------
    speech_rate
        -500..500; a `rate` of `<speak>` overrides it.
    """
    length = predict(text, speech_rate, is_ssml)
    return round(length.spoken_ms + length.pauses_ms)


def predict(text: str, speech_rate: int = 0, is_ssml: bool = False) -> Length:
    """The whole prediction; `expected_ms` in parts."""
    pauses = extra = 0.0
    if is_ssml:
        own_rate = _RATE.search(text)
        if own_rate is not None:
            speech_rate = min(max(int(own_rate[1]), -500), 500)
        pauses = sum(float(amount) * (1 if unit == "ms" else 1000) for amount, unit in _BREAK.findall(text))
        pauses = min(pauses, 10_000)  # all breaks together are capped at 10 s [SSML overview]
        extra = 1000.0 * len(_BREAK_WITHOUT_TIME.findall(text))
        if _FOREIGN_SOUND.search(text):
            extra = float("inf")
        text = unescape(_TAG.sub(" ", _ALIAS.sub(lambda alias: f" {alias[1] or alias[2] or ''} ", text)))
    spoken, signs = _at_normal_speed(text)
    return Length(spoken * _RAISED_BY * stretch(speech_rate), pauses, extra + signs)


def stretch(speech_rate: int) -> float:
    """By how much a rate lengthens speech: 2 at -500, 1 at 0, 0.5 at 500.

    The service's rule for a speed x: rate = (1 - 1/x) / 0.002 below 1, (1 - 1/x) / 0.001 above.
    """
    return 1 - (0.002 if speech_rate < 0 else 0.001) * speech_rate


def _at_normal_speed(text: str) -> tuple[float, float]:
    """Milliseconds of what is surely spoken, and of signs that may be."""
    total = float(_EDGES_MS) if text.strip() else 0.0
    for word in _WORD.findall(text):
        total += _LETTER_MS * len(word) + _SYLLABLE_MS * _syllables(word)
    unsure = 0.0
    rest = _WORD.sub("", text)
    for place, char in enumerate(rest):
        kind = unicodedata.category(char)
        if kind[0] == "L":
            total += _letter_ms(char)
        elif kind == "Nd":
            total += _DIGIT_MS
        elif kind[0] == "P" or char in "$%+=<>^|~\u00a3\u00a5\u20ac":
            inside = rest[place + 1 : place + 2].strip() != "" and not _is_wide(char)
            total += _SIGN_MS if inside else _PAUSE_MS
        elif kind[0] in "SN":
            unsure += 1000  # emoji, arrows, fractions: read out by some voices, skipped by others
    return total, unsure


def _letter_ms(char: str) -> int:
    if "\u3040" <= char <= "\u30ff":
        return _KANA_MS
    if "\uac00" <= char <= "\ud7a3":
        return _HANGUL_MS
    return _CJK_MS if _is_wide(char) else _OTHER_LETTER_MS


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def _syllables(word: str) -> int:
    """Groups of vowels, a final silent e not counted; at least one."""
    lowered = word.lower()
    count = len(_VOWELS.findall(lowered))
    if count > 1 and lowered.endswith("e") and lowered[-2] not in "aeiouyl":
        count -= 1
    return max(count, 1)
