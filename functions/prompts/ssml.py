"""SSML, strict: read by expat without DTD, entities or instructions, checked against an allowlist, and rewritten.

What is sent on is not the caller's text but what was understood of it: two parsers never get to disagree, and two ways
to write the same element are one prompt. Nothing in it can make the service fetch a URL (`soundEvent`, `bgm`), choose
another voice, or change the format that masters have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from functions.prompts.text import has_speech, normalise
from isikit.errors import FieldError, Unspeakable

MAX_CHARACTERS: Final = 300
"""Without the tags; the service answers 41020001 to more."""
MAX_DOCUMENT: Final = 16_384
MAX_DEPTH: Final = 12
MAX_ELEMENTS: Final = 200
MAX_BREAKS_MS: Final = 10_000
_SAY_AS: Final = (
    "cardinal|digits|telephone|name|address|id|characters|punctuation|date|time|currency|measure|nick"  # as documented
)

Check = Callable[[str], bool]


def _like(pattern: str) -> Check:
    return re.compile(pattern, re.ASCII).fullmatch  # type: ignore[return-value]


def _between(least: float, most: float, pattern: str = r"-?\d{1,4}") -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None and least <= float(value) <= most


def _no_url(value: str) -> bool:
    return bool(value.strip()) and "://" not in value


ELEMENTS: Final[dict[str, dict[str, Check]]] = {
    "speak": {
        "rate": _between(-500, 500),
        "pitch": _between(-500, 500),
        "volume": _between(1, 100),  # 0 is silence, which is paid and proves nothing
        "effect": _like(r"[A-Za-z]{1,16}"),
        "effectValue": _like(r"[0-9.,\-]{1,32}"),
    },
    "break": {"time": lambda value: _break_ms(value) is not None},
    "s": {},
    "w": {},
    "sub": {"alias": _no_url},
    "phoneme": {"alphabet": _like(r"[a-z]{1,16}"), "ph": _like(r"[A-Za-z0-9 ]{1,300}")},
    "say-as": {"interpret-as": _like(_SAY_AS)},
    "emotion": {"category": _like(r"[a-z]{1,32}"), "intensity": _between(0.01, 2, r"\d(?:\.\d{1,3})?")},
}
"""Elements and attributes that are let through, with what their values may be."""

_REQUIRED: Final = {
    "sub": {"alias"},
    "phoneme": {"alphabet", "ph"},
    "say-as": {"interpret-as"},
    "emotion": {"category"},
}
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


@dataclass(frozen=True, slots=True)
class Document:
    """SSML that may be spoken.

    Attributes
    ----------
    text
        One `<speak>` element, rewritten.
    has_emotion
        Whether it needs a voice with emotions.
    """

    text: str
    has_emotion: bool


def parse(text: str) -> Document:
    """Check SSML and rewrite it.

    Raises
    ------
    Unspeakable
        With every mistake under `ssml`: `not_xml`, `dtd`, `processing_instruction`, `comment`, `root`, `element`,
        `attribute`, `attribute_value`, `attribute_missing`, `too_deep`, `too_many_elements`, `too_long`,
        `breaks_too_long`, `nothing_to_speak`, and those of `text.normalise`. What ends the reading comes alone.
    """
    if len(text) > MAX_DOCUMENT:
        raise Unspeakable(errors=[FieldError("ssml", "too_long", {"max_document": MAX_DOCUMENT})])
    normalise(text, "ssml")  # refuses what XML would let through as a character reference's result elsewhere
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = lambda *_: _stop("dtd")
    parser.EntityDeclHandler = lambda *_: _stop("dtd")
    parser.XmlDeclHandler = lambda *_: _stop("processing_instruction")
    parser.ProcessingInstructionHandler = lambda *_: _stop("processing_instruction")
    parser.CommentHandler = lambda *_: _stop("comment")
    try:
        parser.Parse(text.strip(), True)
    except expat.ExpatError as error:
        raise Unspeakable(errors=[FieldError("ssml", "not_xml", "one <speak> element, well formed")]) from error
    return reader.finish()


def _stop(code: str) -> None:
    raise Unspeakable(errors=[FieldError("ssml", code)])


def _break_ms(value: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,5})(ms|s)", value)
    if match is None:
        return None
    milliseconds = int(match[1]) * (1000 if match[2] == "s" else 1)
    return milliseconds if 50 <= milliseconds <= 10_000 else None


class _Reader:
    """Expat's events, collected: what is wrong, what is said, and how it is written."""

    def __init__(self) -> None:
        self._mistakes: dict[str, FieldError] = {}
        self._written: list[str] = []
        self._said: list[str] = []
        self._open: list[str] = []
        self._elements = 0
        self._breaks_ms = 0
        self._has_emotion = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise Unspeakable(errors=[FieldError("ssml", "too_many_elements", {"max_elements": MAX_ELEMENTS})])
        if len(self._open) >= MAX_DEPTH:
            raise Unspeakable(errors=[FieldError("ssml", "too_deep", {"max_depth": MAX_DEPTH})])
        if (name == "speak") != (not self._open):
            self._mistake("root", "one <speak> around everything")
        self._open.append(name)
        allowed = ELEMENTS.get(name)
        if allowed is None:
            self._mistake("element", sorted(ELEMENTS))
            return
        # Before they are checked: what is taken out must not have kept two halves of a URL apart.
        attributes = {key: normalise(value, "ssml") for key, value in attributes.items()}
        self._check(name, allowed, attributes)
        self._has_emotion |= name == "emotion"
        if name == "break":
            self._breaks_ms += _break_ms(attributes.get("time", "")) or 0
        if name == "sub":
            self._said.append(attributes.get("alias", ""))
        pairs = "".join(f' {key}="{value.translate(_ESCAPES)}"' for key, value in sorted(attributes.items()))
        self._written.append(f"<{name}{pairs}>")

    def end(self, name: str) -> None:
        self._open.pop()
        if name == "break" and self._written[-1].startswith("<break"):
            self._written[-1] = self._written[-1][:-1] + "/>"
        else:
            self._written.append(f"</{name}>")

    def characters(self, data: str) -> None:
        text = normalise(data, "ssml")
        self._said.append(text)
        self._written.append(text.translate(_ESCAPES))

    def finish(self) -> Document:
        said = "".join(self._said)
        if len(said.strip()) > MAX_CHARACTERS:
            self._mistake("too_long", {"max_characters": MAX_CHARACTERS})
        if self._breaks_ms > MAX_BREAKS_MS:
            self._mistake("breaks_too_long", {"max_ms": MAX_BREAKS_MS})
        if not has_speech(said):
            self._mistake("nothing_to_speak")
        if self._mistakes:
            raise Unspeakable(errors=list(self._mistakes.values()))
        return Document("".join(self._written), self._has_emotion)

    def _check(self, name: str, allowed: dict[str, Check], attributes: dict[str, str]) -> None:
        for key, value in attributes.items():
            check = allowed.get(key)
            if check is None:
                self._mistake("attribute", {name: sorted(allowed)}, name)
            elif not check(value):
                self._mistake("attribute_value", {"element": name, "attribute": key}, f"{name} {key}")
        if missing := _REQUIRED.get(name, set()) - set(attributes):
            self._mistake("attribute_missing", {name: sorted(missing)}, name)

    def _mistake(self, code: str, allowed: object = None, place: str = "") -> None:
        self._mistakes.setdefault(f"{code} {place}", FieldError("ssml", code, allowed))
