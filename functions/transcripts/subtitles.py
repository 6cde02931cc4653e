"""Subtitles: turns cut into cues that a reader can follow, as SubRip (.srt) and WebVTT (.vtt).

A cue has at most 7 seconds and 84 columns, two lines of 42, which is what broadcasters' guides agree on; a full-width
character counts as two. Long turns are cut where a reader would pause: after a sentence, else a clause, else between
words, never within one that fits. Only a word longer than a cue is broken, and only a cue that cannot be cut any
further lasts longer. The time of a turn is shared out by the columns of its cues.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

MAX_COLUMNS: Final = 84
MAX_MS: Final = 7_000

_SENTENCE: Final = frozenset(".!?。！？…．")
_CLAUSE: Final = frozenset(",;:，；：、—")
_CLOSING: Final = frozenset("\"')]}”’）】》」』〉")
_NEVER_FIRST: Final = _SENTENCE | _CLAUSE | _CLOSING
_CLOSERS: Final = "".join(_CLOSING)


class Said(Protocol):
    """A turn, as far as subtitles need it."""

    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def channel(self) -> int: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from `start_ms` to before `end_ms`; `label` names the channel where there are two."""

    start_ms: int
    end_ms: int
    text: str
    label: str | None = None


def label(channel: int) -> str:
    """How a channel is called, with the number it has in the JSON."""
    return f"Channel {channel}"


def cues(turns: Iterable[Said], *, labelled: bool) -> list[Cue]:
    """The cues of all turns by time. Those of one channel never overlap, if its turns do not."""
    found = [
        (start, turn.channel, end, text)
        for turn in turns
        for start, end, text in _timed(turn.start_ms, turn.end_ms, turn.text)
    ]
    return [Cue(start, end, text, label(channel) if labelled else None) for start, channel, end, text in sorted(found)]


def srt(found: Sequence[Cue]) -> str:
    """SubRip: numbered cues, times as `HH:MM:SS,mmm`, an empty line after each. No cues make an empty file."""
    blocks = []
    for number, cue in enumerate(found, 1):
        name = f"{cue.label}: " if cue.label else ""
        text = cue.text.replace("-->", "→")  # the arrow belongs to the time line; SubRip has no way to escape it
        blocks.append(f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{name}{text}\n\n")
    return "".join(blocks)


def vtt(found: Sequence[Cue]) -> str:
    """WebVTT: times as `HH:MM:SS.mmm`, the channel as a voice tag, `&`, `<` and `>` escaped (W3C WebVTT, 4.2.2)."""
    blocks = ["WEBVTT\n\n"]
    for cue in found:
        voice = f"<v {cue.label}>" if cue.label else ""
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{voice}{text}\n\n")
    return "".join(blocks)


def columns(text: str) -> int:
    """How wide a text is: two columns for a full-width character, one for any other."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def split(text: str, limit: int) -> list[str]:
    """Cut a text into parts of at most `limit` columns, where that is possible without breaking words.

    A word wider than `limit` stays whole up to `MAX_COLUMNS` and is broken above it.
    """
    parts: list[str] = []
    rest = text.strip()
    while _is_wider(rest, limit):
        at = _cut(rest, limit)
        if at == len(rest):
            break
        parts.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [part for part in (*parts, rest) if part]


def _is_wider(text: str, limit: int) -> bool:
    """Whether a text is wider than that. A long rest is looked at no further than needed, or time is its square."""
    return len(text) > limit or columns(text) > limit  # no character is narrower than a column


def _timed(start_ms: int, end_ms: int, text: str) -> list[tuple[int, int, str]]:
    """The cues of one turn: (start, end, text), each at least a millisecond long, together exactly the turn."""
    duration, width = end_ms - start_ms, columns(text)
    limit = MAX_COLUMNS if duration <= MAX_MS else min(MAX_COLUMNS, max(1, math.floor(width * MAX_MS / duration)))
    parts = split(text, limit)
    if len(parts) > duration:
        parts = [text]
    total = sum(map(columns, parts))
    edges, passed = [start_ms], 0
    for number, part in enumerate(parts, 1):
        passed += columns(part)
        latest = end_ms - (len(parts) - number)
        edges.append(min(max(start_ms + duration * passed // total, edges[-1] + 1), latest))
    return [(start, end, part) for (start, end), part in zip(pairwise(edges), parts, strict=True)]


def _cut(text: str, limit: int) -> int:
    """Where to cut a text that is wider than `limit`: an index after which the rest begins, or its length."""
    width, shown, word, mark = 0, 0, 0, {"sentence": 0, "clause": 0}
    for at, each in enumerate(text):
        kind = _boundary(text, at)
        if kind is not None:
            if shown > limit and word:
                break
            word = at
            if kind in mark and shown * 2 >= limit:
                mark[kind] = at
            if shown > limit:
                break  # the first word alone is wider
        width += columns(each)
        if not each.isspace():
            shown = width
        if shown > MAX_COLUMNS:
            word = word or _broken(text)
            break
    return mark["sentence"] or mark["clause"] or word or len(text)


def _broken(text: str) -> int:
    """Where to break a word that is wider than any cue: before a character, not before what combines with it."""
    width, at = 0, 0
    for at, each in enumerate(text):  # noqa: B007 - the index is the result
        width += columns(each)
        if width > MAX_COLUMNS:
            break
    while at > 1 and unicodedata.combining(text[at]):
        at -= 1
    return max(at, 1)


def _boundary(text: str, at: int) -> str | None:
    """What ends before index `at`: a sentence, a clause, a word, or nothing."""
    if not at:
        return None
    before, after = text[at - 1], text[at]
    if after in _NEVER_FIRST or unicodedata.combining(after):
        return None
    marks = text[:at].rstrip()
    last = marks.rstrip(_CLOSERS)[-1:] or marks[-1:]
    parted = before.isspace() or _wide(before) or _wide(after)
    if not parted or after.isspace():
        return None
    if last in _SENTENCE:
        return "sentence"
    return "clause" if last in _CLAUSE else "word"


def _wide(character: str) -> bool:
    """Whether words are not parted by spaces in this character's script: a line may break beside it."""
    return unicodedata.east_asian_width(character) in "WF"


def _clock(at_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
