"""Reading `POST /v1/prompts`: all mistakes at once, and after that no doubt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from functions.prompts import ssml, text
from functions.prompts.consumers import CONSUMERS, Consumer
from functions.prompts.prompt import Cache, Prompt, Retention
from functions.prompts.rendition import CONTAINERS, CONTAINERS_OF, ENCODINGS, RATES_HZ, RATES_OF, Rendition
from functions.prompts.voices import LOCALES, Voice, speaking
from isikit.errors import FieldError, NotJson, RequestError, Unspeakable
from isikit.host import context
from isikit.tenants import Tenant

DEFAULT_WAIT_MS: Final = 10_000
MAX_WAIT_MS: Final = 25_000
VOLUME: Final = (0, 100, 50)
RATE: Final = (-500, 500, 0)

FIELDS: Final = (
    "text",
    "ssml",
    "locale",
    "voice",
    "volume",
    "speech_rate",
    "pitch_rate",
    "consumer",
    "encoding",
    "container",
    "sample_rate_hz",
    "cache",
    "retention",
    "wait_ms",
    "call_id",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks for, checked and with every default filled in."""

    prompt: Prompt
    rendition: Rendition
    consumer: Consumer | None
    cache: Cache
    retention: Retention
    wait_ms: int
    call_id: str | None


def parse(body: object, tenant: Tenant) -> Wish:
    """Read a request's JSON.

    Raises
    ------
    NotJson
        It is no object.
    RequestError
        400, with a `FieldError` for every mistake: `unknown`, `missing`, `type`, `range`, `not_allowed`, `conflict`,
        `too_long`, `format`, and those of the text beside them.
    Unspeakable
        422: nothing is wrong but the text or the SSML.
    """
    if not isinstance(body, dict):
        raise NotJson("The body is not an object.")
    fields = _Fields(body)
    call_id = fields.string("call_id")
    if call_id is not None and context.call_id_of(call_id) is None:
        fields.wrong("call_id", "format", "a letter or digit, then up to 127 of A-Z a-z 0-9 _ . : @ + -")
    cache = cast(Cache, fields.choice("cache", ("use", "refresh", "bypass")) or "use")
    retention = cast("Retention | None", fields.choice("retention", ("permanent", "day")))
    if cache == "bypass" and retention == "permanent":
        fields.wrong("retention", "conflict", ["day"])  # what bypasses the cache is not kept
    wait_ms = fields.whole("wait_ms", 0, MAX_WAIT_MS, DEFAULT_WAIT_MS)
    consumer = fields.choice("consumer", CONSUMERS)
    rendition = _rendition(fields, CONSUMERS[consumer] if consumer else None)
    prompt = _prompt(fields, tenant, wait_ms)
    fields.finish()
    assert rendition is not None and prompt is not None  # or `finish` would have raised
    return Wish(
        prompt=prompt,
        rendition=rendition,
        consumer=CONSUMERS[consumer] if consumer else None,
        cache=cache,
        retention="day" if cache == "bypass" else retention or tenant.retention,
        wait_ms=wait_ms,
        call_id=call_id,
    )


class _Fields:
    """The body, and what was found wrong with it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self._mistakes = [FieldError(name, "unknown", sorted(FIELDS)) for name in body if name not in FIELDS]
        self._unspeakable: list[FieldError] = []

    def wrong(self, field: str, code: str, allowed: object = None) -> None:
        self._mistakes.append(FieldError(field, code, allowed))

    def unspeakable(self, error: Unspeakable) -> None:
        self._unspeakable.extend(error.errors)

    def finish(self) -> None:
        if self._mistakes:
            raise RequestError(errors=[*self._mistakes, *self._unspeakable])
        if self._unspeakable:
            raise Unspeakable(errors=self._unspeakable)

    def string(self, name: str) -> str | None:
        value = self.body.get(name)
        if isinstance(value, str):
            return value
        if name in self.body:
            self.wrong(name, "type", "string")
        return None

    def choice(self, name: str, allowed: Iterable[str], code: str = "not_allowed") -> str | None:
        value = self.string(name)
        if value is not None and value not in allowed:
            self.wrong(name, code, list(allowed))
            return None
        return value

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        value = self.body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, "type", "integer")
        elif not least <= value <= most:
            self.wrong(name, "range", {"min": least, "max": most})
        else:
            return value
        return default

    def rate_hz(self) -> int | None:
        value = self.body.get("sample_rate_hz")
        if "sample_rate_hz" not in self.body:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong("sample_rate_hz", "type", "integer")
        elif value not in RATES_HZ:
            self.wrong("sample_rate_hz", "not_allowed", list(RATES_HZ))
        else:
            return value
        return None


def _rendition(fields: _Fields, consumer: Consumer | None) -> Rendition | None:
    encoding, container = fields.choice("encoding", ENCODINGS), fields.choice("container", CONTAINERS)
    rate_hz = fields.rate_hz()
    if consumer is not None:
        theirs = consumer.rendition
        for name, asked, plays in (
            ("encoding", encoding, theirs.encoding),
            ("container", container, theirs.container),
            ("sample_rate_hz", rate_hz, theirs.sample_rate_hz),
        ):
            if asked is not None and asked != plays:
                fields.wrong(name, "conflict", [plays])
        return theirs
    if encoding is None:
        if container == "raw":
            fields.wrong("encoding", "missing", ["mulaw", "alaw"])
            return None
        encoding = "mp3" if container == "mp3" else "pcm_s16le"
    container = container or CONTAINERS_OF[encoding][0]
    rate_hz = rate_hz or RATES_OF[encoding][0]
    if container not in CONTAINERS_OF[encoding]:
        fields.wrong("container", "conflict", list(CONTAINERS_OF[encoding]))
    if rate_hz not in RATES_OF[encoding]:
        fields.wrong("sample_rate_hz", "conflict", sorted(RATES_OF[encoding]))
    return Rendition(encoding, container, rate_hz)


def _prompt(fields: _Fields, tenant: Tenant, wait_ms: int) -> Prompt | None:
    volume = fields.whole("volume", *VOLUME)
    speech_rate, pitch_rate = fields.whole("speech_rate", *RATE), fields.whole("pitch_rate", *RATE)
    locale = fields.choice("locale", sorted({*LOCALES, *tenant.default_voice}))
    voice = _voice(fields, tenant, locale or tenant.default_locale)
    plain, marked = fields.string("text"), fields.string("ssml")
    if plain is not None and marked is not None:
        fields.wrong("ssml", "conflict", "either text or ssml")
    if "text" not in fields.body and "ssml" not in fields.body:
        fields.wrong("text", "missing", "text or ssml")
    try:
        spoken = _ssml(fields, marked, voice) if marked is not None else _text(fields, plain or "", wait_ms)
    except Unspeakable as error:
        if plain is not None or marked is not None:
            fields.unspeakable(error)
        return None
    if voice is None:
        return None
    return Prompt(
        text=spoken,
        is_ssml=marked is not None,
        locale=locale or tenant.default_locale,
        voice=voice.name,
        master_rate_hz=voice.master_rate_hz,
        volume=volume,
        speech_rate=speech_rate,
        pitch_rate=pitch_rate,
    )


def _voice(fields: _Fields, tenant: Tenant, locale: str) -> Voice | None:
    able = speaking(locale, tenant.default_voice)
    if "voice" not in fields.body:
        if not able:
            fields.wrong("locale", "not_allowed", sorted({*LOCALES, *tenant.default_voice}))
        return next(iter(able.values()), None)
    # An unknown voice and one that does not speak the locale are told the same: which voices do.
    name = fields.choice("voice", able)
    return able[name] if name else None


def _text(fields: _Fields, plain: str, wait_ms: int) -> str:
    cleaned = text.clean(plain)
    most = text.MAX_CHARACTERS_LATER if wait_ms == 0 else text.MAX_CHARACTERS
    if len(cleaned) > most:
        allowed = {"max_characters": text.MAX_CHARACTERS, "max_characters_with_wait_ms_0": text.MAX_CHARACTERS_LATER}
        fields.wrong("text", "too_long", allowed)
    return cleaned


def _ssml(fields: _Fields, marked: str, voice: Voice | None) -> str:
    document = ssml.parse(marked)
    if voice is not None and not voice.has_ssml:
        fields.wrong("ssml", "conflict", "a Chinese or an English voice")
    if voice is not None and document.has_emotion and not voice.has_emotions:
        fields.wrong("voice", "conflict", "a voice whose name ends in _emo, for <emotion>")
    return document.text
