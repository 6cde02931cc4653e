"""Cutting a long text into pieces that the speech service speaks whole.

The service cuts plain text off after 300 characters without a word, so a longer text is cut here: at the last end of a
sentence that fits, else at the last comma, else at the last blank, else between two characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from functions.prompts.text import has_speech

LIMIT: Final = 300
"""Characters of one piece, counted in UTF-16 units: how the service counts the rare ones beyond U+FFFF is not known,
and this way is never the longer one."""

_CLOSING: Final = "[\"'”’」』）)\\]》】]*"
# A Western full stop ends a sentence only before a blank: not in 3.5 or example.com.
_SENTENCE: Final = re.compile(rf"(?:[。！？；…!?;]+|\.+(?={_CLOSING}(?:\s|\Z))){_CLOSING}")
# Not the comma of 1,000 or the colon of 12:30.
_COMMA: Final = re.compile(rf"(?:[，、：]|(?<!\d)[,:]|[,:](?!\d)){_CLOSING}")
_BLANK: Final = re.compile(r"\s+")
_REGIONAL: Final = range(0x1F1E6, 0x1F200)
_SKIN: Final = range(0x1F3FB, 0x1F400)
_HANGUL_MEDIAL_OR_FINAL: Final = range(0x1160, 0x1200)


def split(text: str, limit: int = LIMIT) -> tuple[str, ...]:
    """Cut a cleaned text into pieces of at most `limit` UTF-16 units, in order.

    Nothing is lost but blanks at the cuts and pieces with nothing to speak in them.
    """
    pieces = []
    rest = text
    while (window := _fitting(rest, limit)) < len(rest):
        cut = _last(_SENTENCE, rest, window) or _last(_COMMA, rest, window) or _last(_BLANK, rest, window)
        cut = cut or _between_characters(rest, window)
        pieces.append(rest[:cut].strip())
        rest = rest[cut:].lstrip()
    pieces.append(rest)
    return tuple(piece for piece in pieces if has_speech(piece))


def _fitting(text: str, limit: int) -> int:
    """How many characters from the start fit into `limit` UTF-16 units."""
    if len(text) <= limit // 2:
        return len(text)
    units = 0
    for place, character in enumerate(text):
        units += 2 if character > "\uffff" else 1
        if units > limit:
            return place
    return len(text)


def _last(pattern: re.Pattern[str], text: str, window: int) -> int:
    """Where the last match that lies within `window` and is not inside a combining sequence ends; 0 for none."""
    # The whole text is searched, not the window: at the window's end a look ahead would see the end of the text.
    found = 0
    for match in pattern.finditer(text):
        if match.end() > window:
            break
        blank = _BLANK.match(text, match.end())  # left out at a cut, so what comes after it begins the next piece
        next_begins = blank.end() if blank else match.end()
        if next_begins < len(text) and not _joins(text, next_begins):
            found = match.end()
    return found


def _between_characters(text: str, window: int) -> int:
    """The last place up to `window` that parts no combining sequence; `window` itself if there is none."""
    for cut in range(window, 0, -1):
        if not _joins(text, cut):
            return cut
    return window


def _joins(text: str, cut: int) -> bool:
    """Whether what comes after `cut` belongs to what is before."""
    after = ord(text[cut])
    if unicodedata.category(text[cut]).startswith("M") or after in _SKIN or after in _HANGUL_MEDIAL_OR_FINAL:
        return True
    if after not in _REGIONAL:
        return False
    before = 0
    while before < cut and ord(text[cut - before - 1]) in _REGIONAL:
        before += 1
    return before % 2 == 1
