"""`/v1/say/{sealed}.{ext}`: the audio itself, for platforms that can only GET.

The URL holds text and options, sealed: in a query string they would be logged by everything on the way. Whoever may
ask for prompts gets such a URL by `POST /v1/say`; that costs nothing and stores nothing, and the URL is the one thing
a player needs. What it says is kept as a prompt of a day, so that a thousand calls are one synthesis.

URLs have at most 255 characters, because players cut longer ones off; that leaves room for some forty Chinese or
eighty English characters. What is longer is a case for `POST /v1/prompts` with `wait_ms: 0`: its URL makes the audio
at the first GET, too.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from functions.prompts.asking import answered, seek
from functions.prompts.maker import NotReady
from functions.prompts.playing import respond
from functions.prompts.prompt import Prompt
from functions.prompts.rendition import BY_NAME
from functions.prompts.request import DEFAULT_WAIT_MS, Wish
from functions.prompts.service import URL_LENGTHS, Prompts
from functions.prompts.stored import Stored
from functions.prompts.voices import speaking
from isikit.errors import FieldError, NotFound, RequestError, SealError
from isikit.host import context
from isikit.stamps import rfc3339
from isikit.tenants import Tenant

PREFIX: Final = "/v1/say/"
_PURPOSE: Final = "say"
_AAD: Final = b"v1"
_NAME: Final = re.compile(r"([A-Za-z0-9_-]{40,240})\.(wav|ulaw|alaw|mp3)")


class _Said(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is sealed. An array, because every byte counts; new fields go to the end.

    Attributes
    ----------
    expires_at
        Epoch seconds.
    words
        Text or SSML in GB 18030, which holds all of Unicode, and a Chinese character in two bytes.
    """

    tenant: str
    expires_at: int
    rendition: str
    locale: str
    voice: str
    words: bytes
    is_ssml: bool = False
    volume: int = 50
    speech_rate: int = 0
    pitch_rate: int = 0


@dataclass(frozen=True, slots=True)
class _Opened:
    tenant: Tenant
    wish: Wish
    life_seconds: float


async def seal(prompts: Prompts, tenant: Tenant, wish: Wish, life_seconds: int) -> dict[str, Any]:
    """A URL that says what is wished for, and until when it is good.

    Raises
    ------
    RequestError
        The URL would have more than 255 characters.
    """
    prompt = wish.prompt
    expires_at = int(prompts.clock()) + life_seconds
    said = _Said(
        tenant=tenant.id,
        expires_at=expires_at,
        rendition=wish.rendition.name,
        locale=prompt.locale,
        voice=prompt.voice,
        words=prompt.text.encode("gb18030"),
        is_ssml=prompt.is_ssml,
        volume=prompt.volume,
        speech_rate=prompt.speech_rate,
        pitch_rate=prompt.pitch_rate,
    )
    keys = await prompts.keys.current()
    sealed = _text(keys.seal(msgspec.msgpack.encode(said), purpose=_PURPOSE, aad=_AAD))
    url = f"{prompts.base_url}{PREFIX}{sealed}.{wish.rendition.extension}"
    if len(url) > URL_LENGTHS[1]:
        allowed = {"max_url_characters": URL_LENGTHS[1], "url_characters": len(url)}
        raise RequestError(
            "The text does not fit into a URL: ask POST /v1/prompts with wait_ms 0 for one.",
            errors=[FieldError("ssml" if prompt.is_ssml else "text", "too_long", allowed)],
        )
    return {"url": url, "voice_used": prompt.voice, "expires_at": rfc3339(expires_at)}


async def say(prompts: Prompts, request: Request) -> Response:
    """The audio of a sealed text. HEAD never has it made.

    Raises
    ------
    NotFound
        The sealed value was altered, is over, or was sealed by a key or for a tenant that is gone: one answer for all.
    NotReady
        It is not made yet: by a HEAD, or not within ten seconds.
    IsiError
        Whatever making it came to. No other prompt is played instead: players would keep it.
    """
    opened = await _open(prompts, request.scope["path"].removeprefix(PREFIX))
    tenant, wish = opened.tenant, opened.wish
    context.update(tenant_id=tenant.id)
    if request.method == "HEAD":
        found = await _found(prompts, tenant, wish)
        if found is None:
            raise NotReady
        return respond("HEAD", request.headers, found, wish.rendition, life_seconds=opened.life_seconds)
    # Claimed, though of a day: many players get one URL at once, of several instances.
    answer = await answered(prompts, tenant, wish, is_claimed=True)
    if answer.stored is None:
        raise NotReady
    look = await prompts.cache.audio(answer.stored.key)
    if look.intact is None:
        raise NotReady  # deleted or damaged this very moment
    return respond("GET", request.headers, look.intact, wish.rendition, life_seconds=opened.life_seconds)


async def _found(prompts: Prompts, tenant: Tenant, wish: Wish) -> Stored | None:
    for prompt in prompts.voices.chain(tenant, wish.prompt):
        found = (await seek(prompts, tenant, dataclasses.replace(wish, prompt=prompt))).found
        if found is not None:
            return found
    return None


async def _open(prompts: Prompts, name: str) -> _Opened:
    match = _NAME.fullmatch(name)
    if match is None:
        raise NotFound
    try:
        sealed = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), altchars=b"-_", validate=True)
        plain = await prompts.keys.open(sealed, purpose=_PURPOSE, aad=_AAD)
        said = msgspec.msgpack.decode(plain, type=_Said)
    except (binascii.Error, SealError, msgspec.DecodeError):
        raise NotFound from None
    tenant = (await prompts.tenants.current()).find(said.tenant)
    rendition = BY_NAME.get(said.rendition)
    life_seconds = said.expires_at - prompts.clock()
    # Not every text of base64 has one meaning: its last character can hold bits that nobody reads.
    if tenant is None or rendition is None or life_seconds <= 0 or _text(sealed) != match[1]:
        raise NotFound
    voice = speaking(said.locale, tenant.default_voice, tenant.voices).get(said.voice)
    if voice is None or match[2] != rendition.extension:
        raise NotFound
    prompt = Prompt(
        text=said.words.decode("gb18030"),
        is_ssml=said.is_ssml,
        locale=said.locale,
        voice=said.voice,
        master_rate_hz=voice.master_rate_hz,
        volume=said.volume,
        speech_rate=said.speech_rate,
        pitch_rate=said.pitch_rate,
    )
    return _Opened(tenant, Wish(prompt, rendition, None, "use", "day", DEFAULT_WAIT_MS, None), life_seconds)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")
