"""What the service makes of a text: where it cuts, what it counts, and what is spoken of SSML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from localcloud.nls.status import TTS_CLIENT_ERROR, Refusal, not_built

SHORT_LIMIT = 300
LONG_LIMIT = 100_000
CHARACTERS_PER_CALL = 100

_VALUES = ("voice", "encodeType", "sampleRate", "rate", "pitch", "volume")
_EFFECTS = ("effect", "effectValue", "bgm", "backgroundMusicVolume")
_SPEAK_ATTRIBUTES = frozenset((*_VALUES, *_EFFECTS))
_TAGS = frozenset(["speak", "break", "s", "sub", "w", "phoneme", "soundEvent", "say-as", "emotion", "vhml"])
_BREAK = re.compile(r"(\d+)(ms|s)")
_SENTENCE = re.compile(r".{1,300}?(?:[。！？!?；;\n]+|\.(?=\s)|$)|.{1,300}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to speak in one go, and the silence after it."""

    text: str
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Speech:
    """A text as the service reads it.

    `characters` is what is billed: every Chinese character, letter, punctuation mark and inner space is one, tags none.
    `attributes` are those of `<speak>`, which override the request's.
    """

    pieces: tuple[Piece, ...]
    characters: int
    attributes: Mapping[str, str] = field(default_factory=dict)


def calls(characters: int) -> int:
    """Billed calls: every started 100 characters is one."""
    return -(-characters // CHARACTERS_PER_CALL)


def is_ssml(text: str) -> bool:
    """Whether a text is SSML: it begins with `<speak`."""
    return text.lstrip().startswith("<speak")


def read_short(text: str, *, emotions: bool = False) -> Speech:
    """A text for short synthesis: plain text over 300 characters is cut off silently, SSML is refused."""
    if not is_ssml(text):
        kept = text.strip()[:SHORT_LIMIT].rstrip()
        return Speech((Piece(kept),), len(kept))
    speech = _read_ssml(text, emotions)
    if speech.characters > SHORT_LIMIT:
        raise Refusal(TTS_CLIENT_ERROR, "TTS:TtsClientError:SSML text length should be less than 300.")
    return speech


def read_long(text: str, *, emotions: bool = False) -> Speech:
    """A text for long synthesis, spoken sentence by sentence; over 100,000 characters are refused."""
    speech = _read_ssml(text, emotions) if is_ssml(text) else None
    kept = text.strip()
    if (len(kept) if speech is None else speech.characters) > LONG_LIMIT:
        raise Refusal(TTS_CLIENT_ERROR, "TTS:TtsClientError:text length should be less than 100000.")
    if speech is not None:
        return speech
    if len(kept) <= SHORT_LIMIT:
        return Speech((Piece(kept),), len(kept))
    sentences = (found.group().strip() for found in _SENTENCE.finditer(kept))
    return Speech(tuple(Piece(s) for s in sentences if s), len(kept))


class _SsmlReader:
    """Collects the spoken pieces of one `<speak>` document; refuses what the service refuses."""

    def __init__(self, emotions: bool) -> None:
        self._emotions = emotions
        self._pieces: list[Piece] = []
        self._spoken: list[str] = []
        self._billed: list[str] = []
        self._aliases: list[str | None] = []
        self.attributes: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name not in _TAGS or (not self._aliases) != (name == "speak"):
            raise _illegal()
        if name == "speak":
            if not _SPEAK_ATTRIBUTES.issuperset(attributes):
                raise _illegal()
            self.attributes = attributes
        elif name == "emotion" and not self._emotions:
            raise _illegal()
        elif name == "soundEvent":
            raise not_built("soundEvent in SSML")
        elif name == "break":
            self._pause(_break_ms(attributes.get("time", "500ms")))
        alias = attributes.get("alias") if name == "sub" else None
        if alias is not None:
            self._spoken.append(alias)
        self._aliases.append(alias)

    def end(self, _name: str) -> None:
        self._aliases.pop()

    def characters(self, data: str) -> None:
        self._billed.append(data)
        if all(alias is None for alias in self._aliases):
            self._spoken.append(data)

    def refuse(self, *_: object) -> None:
        raise _malformed()

    def speech(self) -> Speech:
        self._pause(0)
        pieces = tuple(p for p in self._pieces if p.text or p.pause_ms)
        return Speech(pieces, len("".join(self._billed).strip()), self.attributes)

    def _pause(self, ms: int) -> None:
        self._pieces.append(Piece("".join(self._spoken).strip(), ms))
        self._spoken.clear()


def _read_ssml(text: str, emotions: bool) -> Speech:
    reader = _SsmlReader(emotions)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    try:
        parser.Parse(text.strip().encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise _malformed() from error
    return reader.speech()


def _break_ms(time: str) -> int:
    """`500ms` or `2s`; 50 ms to 10 s, as documented."""
    found = _BREAK.fullmatch(time)
    if found is None:
        raise _illegal()
    ms = int(found[1]) * (1000 if found[2] == "s" else 1)
    return min(max(ms, 50), 10_000)


def _illegal() -> Refusal:
    return Refusal(TTS_CLIENT_ERROR, "TTS:TtsClientError:Illegal ssml text")


def _malformed() -> Refusal:
    return Refusal(TTS_CLIENT_ERROR, "TTS:TtsClientError:[tts]Engine return error code: 413")
