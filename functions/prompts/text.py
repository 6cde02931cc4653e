"""What may be spoken: plain text made clean, or refused with the reason.

TAB, CR and LF are white space; other control characters, lone surrogates and noncharacters are refused, because a
speech engine reads them aloud, drops them or breaks on them, each in its own way. Bidirectional and zero-width
characters are taken out: they are not heard, and two texts that sound alike must be one prompt.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from isikit.errors import FieldError, Unspeakable

MAX_CHARACTERS: Final = 2_000
"""Of a text whose caller waits for the audio."""
MAX_CHARACTERS_LATER: Final = 5_000
"""Of a text whose caller does not (`wait_ms: 0`): twenty minutes, which one invocation can still make."""

_NONCHARACTERS: Final = "\ufdd0-\ufdef" + "".join(
    chr(plane * 0x10000 + 0xFFFE) + chr(plane * 0x10000 + 0xFFFF) for plane in range(17)
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_NONCHARACTERS}]")
# Soft hyphen, Arabic letter mark, Mongolian vowel separator, zero-width characters, bidirectional marks, embeddings,
# overrides and isolates, invisible operators, the byte order mark, and the tag characters.
_INVISIBLE: Final = re.compile(  # Hangul fillers are letters to Unicode, and silence to everybody
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)
_WHITE: Final = re.compile("[ \t\r\n\u2028\u2029]+")
# The service takes any text with a <speak> element for SSML, and SSML can make it fetch a URL: plain text may not
# slip past the rules of `ssml`.
_MARKUP: Final = re.compile(r"<\s*/?\s*speak\b", re.IGNORECASE)
_SPOKEN: Final = ("L", "N", "Sc", "Sm")


def clean(text: str) -> str:
    """The text as it is spoken: NFC, invisible characters out, white space in single blanks and none at the ends.

    Cleaning what was cleaned changes nothing.

    Raises
    ------
    Unspeakable
        `errors` has one entry for `text`: `lone_surrogate`, `control_character`, `markup` or `nothing_to_speak`.
    """
    cleaned = normalise(text, "text")
    if _MARKUP.search(cleaned):
        raise refusal("text", "markup", "plain text without a <speak> element; SSML goes into the field ssml")
    if not has_speech(cleaned):
        raise refusal("text", "nothing_to_speak", "at least one letter, digit, ideograph, currency or arithmetic sign")
    return cleaned.strip()


def normalise(text: str, field: str) -> str:
    """The rules for characters alone; blanks at the ends stay.

    Raises
    ------
    Unspeakable
        With one entry for `field`: `lone_surrogate` or `control_character`.
    """
    if _SURROGATE.search(text):
        raise refusal(field, "lone_surrogate", "Unicode text")
    if _CONTROL.search(text):
        raise refusal(field, "control_character", "no control characters but TAB, CR and LF")
    # Taking a character out can bring two together that compose, so NFC comes after.
    return unicodedata.normalize("NFC", _WHITE.sub(" ", _INVISIBLE.sub("", text)))


def has_speech(text: str) -> bool:
    """Whether there is anything to speak: punctuation, marks, blanks and pictures alone are silence."""
    return any(unicodedata.category(character).startswith(_SPOKEN) for character in text)


def refusal(field: str, code: str, allowed: object = None) -> Unspeakable:
    """The error for one field of what was to be spoken."""
    return Unspeakable(errors=[FieldError(field, code, allowed)])
