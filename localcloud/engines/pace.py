"""How long a text takes to say: the service speaks about 4 Chinese characters or 15 Latin letters a second."""

from __future__ import annotations

import unicodedata

CJK_MS = 250.0
DIGIT_MS = 200.0  # read out one by one; between a Chinese syllable and an English word
OTHER_MS = 1000.0 / 15


def is_wide(char: str) -> bool:
    """Whether a character is spoken as one syllable of its own (Chinese, Japanese, Korean, full-width marks)."""
    return unicodedata.east_asian_width(char) in "WF"


def natural_ms(text: str) -> float:
    """The usual spoken length of a text at normal speed, in milliseconds."""
    return sum(CJK_MS if is_wide(c) else DIGIT_MS if c.isdigit() else OTHER_MS for c in text)


def stretch(speech_rate: int) -> float:
    """The factor by which `speech_rate` lengthens speech: 2.0 at -500 (half speed), 1.0 at 0, 0.5 at 500.

    The documented rule: rate = (1 - 1/x) / 0.002 for speeds x below 1, (1 - 1/x) / 0.001 above.
    """
    return 1 - (0.002 if speech_rate < 0 else 0.001) * speech_rate


def amplitude(volume: int) -> float:
    """The peak (of 1.0) for a `volume` of 0..100: silence at 0, -6 dBFS at 50, -1 dBFS at 100."""
    return 0.5 * volume / 50 if volume <= 50 else 0.5 + 0.39 * (volume - 50) / 50
