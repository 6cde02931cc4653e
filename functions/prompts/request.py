"""Reading the bodies of requests: all mistakes at once, and after that no doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from functions.prompts import ssml, text
from functions.prompts.consumers import CONSUMERS, Consumer
from functions.prompts.fields import Fields
from functions.prompts.prompt import Cache, Prompt, Retention
from functions.prompts.rendition import CONTAINERS, CONTAINERS_OF, ENCODINGS, RATES_HZ, RATES_OF, Rendition
from functions.prompts.voices import LOCALES, Voice, speaking
from isikit.errors import Unspeakable
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
"""Of `POST /v1/prompts`."""

LIFE_SECONDS: Final = (60, 30 * 86_400, 86_400)
SAY_FIELDS: Final = (*(name for name in FIELDS if name not in ("cache", "retention", "wait_ms")), "life_seconds")
"""Of `POST /v1/say`."""

PAGE: Final = (1, 1_000, 100)
PURGE_FIELDS: Final = ("made_before", "voice", "locale", "retention", "all", "dry_run", "max", "cursor")
"""Of `POST /v1/prompts/purge`."""


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
    fields = Fields(body, FIELDS)
    call_id = _call_id(fields)
    cache = cast(Cache, fields.choice("cache", ("use", "refresh", "bypass")) or "use")
    retention = cast("Retention | None", fields.choice("retention", ("permanent", "day")))
    if cache == "bypass" and retention == "permanent":
        fields.wrong("retention", "conflict", ["day"])  # what bypasses the cache is not kept
    wait_ms = fields.whole("wait_ms", 0, MAX_WAIT_MS, DEFAULT_WAIT_MS)
    prompt, rendition, consumer = _checked(fields, tenant, wait_ms)
    retention = "day" if cache == "bypass" else retention or tenant.retention
    return Wish(prompt, rendition, consumer, cache, retention, wait_ms, call_id)


def parse_say(body: object, tenant: Tenant) -> tuple[Wish, int]:
    """Read the JSON of `POST /v1/say`: what is to be said, and for how many seconds the URL shall be good.

    Raises
    ------
    NotJson, RequestError, Unspeakable
        As `parse`.
    """
    fields = Fields(body, SAY_FIELDS)
    call_id = _call_id(fields)
    life_seconds = fields.whole("life_seconds", *LIFE_SECONDS)
    prompt, rendition, consumer = _checked(fields, tenant, DEFAULT_WAIT_MS)
    return Wish(prompt, rendition, consumer, "use", "day", DEFAULT_WAIT_MS, call_id), life_seconds


@dataclass(frozen=True, slots=True)
class Purge:
    """Which prompts are to go: those that fit everything that is given.

    Attributes
    ----------
    made_before
        Epoch seconds.
    max
        How many are looked at.
    """

    made_before: float | None
    voice: str | None
    locale: str | None
    retention: Retention | None
    dry_run: bool
    max: int
    cursor: str | None


def parse_purge(body: object) -> Purge:
    """Read the JSON of `POST /v1/prompts/purge`. Everything goes only where `all` says so.

    Raises
    ------
    NotJson, RequestError
        As `parse`.
    """
    fields = Fields(body, PURGE_FIELDS)
    purge = Purge(
        made_before=fields.moment("made_before"),
        voice=fields.string("voice"),
        locale=fields.string("locale"),
        retention=cast("Retention | None", fields.choice("retention", ("permanent", "day"))),
        dry_run=fields.flag("dry_run", True),
        max=fields.whole("max", *PAGE),
        cursor=fields.string("cursor"),
    )
    criteria = ("made_before", "voice", "locale", "retention")
    if not fields.flag("all", False) and not any(name in fields.body for name in criteria):
        fields.wrong("all", "missing", ["made_before", "voice", "locale", "retention", "or all: true"])
    fields.finish()
    return purge


def _call_id(fields: Fields) -> str | None:
    call_id = fields.string("call_id")
    if call_id is not None and context.call_id_of(call_id) is None:
        fields.wrong("call_id", "format", "a letter or digit, then up to 127 of A-Z a-z 0-9 _ . : @ + -")
    return call_id


def _checked(fields: Fields, tenant: Tenant, wait_ms: int) -> tuple[Prompt, Rendition, Consumer | None]:
    """What is common to all requests for audio. Raises for every mistake there is in any field."""
    name = fields.choice("consumer", CONSUMERS)
    consumer = CONSUMERS[name] if name else None
    rendition = _rendition(fields, consumer)
    prompt = _prompt(fields, tenant, wait_ms)
    fields.finish()
    assert rendition is not None and prompt is not None  # or `finish` would have raised
    return prompt, rendition, consumer


def _rendition(fields: Fields, consumer: Consumer | None) -> Rendition | None:
    encoding, container = fields.choice("encoding", ENCODINGS), fields.choice("container", CONTAINERS)
    rate_hz = fields.number("sample_rate_hz", RATES_HZ)
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


def _prompt(fields: Fields, tenant: Tenant, wait_ms: int) -> Prompt | None:
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


def _voice(fields: Fields, tenant: Tenant, locale: str) -> Voice | None:
    able = speaking(locale, tenant.default_voice, tenant.voices)
    if "voice" not in fields.body:
        if not able:
            fields.wrong("locale", "not_allowed", sorted({*LOCALES, *tenant.default_voice}))
        return next(iter(able.values()), None)
    # An unknown voice and one that does not speak the locale are told the same: which voices do.
    name = fields.choice("voice", able)
    return able[name] if name else None


def _text(fields: Fields, plain: str, wait_ms: int) -> str:
    cleaned = text.clean(plain)
    most = text.MAX_CHARACTERS_LATER if wait_ms == 0 else text.MAX_CHARACTERS
    if len(cleaned) > most:
        allowed = {"max_characters": text.MAX_CHARACTERS, "max_characters_with_wait_ms_0": text.MAX_CHARACTERS_LATER}
        fields.wrong("text", "too_long", allowed)
    return cleaned


def _ssml(fields: Fields, marked: str, voice: Voice | None) -> str:
    document = ssml.parse(marked)
    if voice is not None and not voice.has_ssml:
        fields.wrong("ssml", "conflict", "a Chinese or an English voice")
    if voice is not None and document.has_emotion and not voice.has_emotions:
        fields.wrong("voice", "conflict", "a voice whose name ends in _emo, for <emotion>")
    return document.text
