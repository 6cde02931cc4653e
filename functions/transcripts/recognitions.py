"""`POST /v1/recognitions`: up to a minute of sound in, its text out, for apps that must not hold the account's token.

Nothing is stored and no text is logged. The sound is as untrusted as a recording: it is decoded by the same child
process under tighter limits, and what cannot be read is refused. Requests have places of their own, for decoding and
at the speech service, so that a rush of them does not keep recordings waiting, nor the other way round.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from functions.transcripts import mode
from functions.transcripts.audio import Layout, layout_of, sides_of
from functions.transcripts.mode import SentenceMode
from functions.transcripts.recognise import cut, recognise
from isikit import logs
from isikit.audio.probe import Limits
from isikit.errors import AudioError, ConfigError, DeadlineExceeded, FieldError, Overloaded, RequestError

if TYPE_CHECKING:
    from functions.transcripts.process import Transcripts
    from functions.transcripts.transcript import Turn
    from isikit.host.context import Deadline
    from isikit.tenants import Tenant

PATH: Final = "/v1/recognitions"
MAX_BYTES: Final = 16 * 1024 * 1024  # a minute of 48 kHz stereo are 11.5 MB; the platform takes 32
LONGEST_MS: Final = 60_000
ANSWER_SECONDS: Final = 45.0
"""For all of it: the caller waits."""
DECODE_SECONDS: Final = 15.0
DECODE_CPU_SECONDS: Final = 10
DECODING: Final = 1
SPEAKING: Final = 4
WAITING: Final = 4
"""Requests that may wait for decoding; what comes on top is told at once that this instance is full."""

_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?\Z")


@dataclass(frozen=True, slots=True)
class Recognition:
    """The answer.

    Attributes
    ----------
    turns
        By time; none where nothing was said.
    seconds, calls
        Of sound sent to the service, each channel counted that holds something of its own; calls made for it.
    """

    turns: tuple[Turn, ...] = field(repr=False)
    duration_ms: int
    channels: int
    layout: Layout
    seconds: int
    calls: int

    def answer(self) -> dict[str, Any]:
        """As it is sent."""
        return {
            "text": "\n".join(turn.text for turn in self.turns),
            "turns": [
                {"start_ms": turn.start_ms, "end_ms": turn.end_ms, "channel": turn.channel, "text": turn.text}
                for turn in self.turns
            ],
            "duration_ms": self.duration_ms,
            "channels": self.channels,
            "layout": self.layout,
            "billed": {"seconds": self.seconds, "calls": self.calls},
        }


def locale_of(parameters: Sequence[tuple[str, str]]) -> str | None:
    """The language that query parameters ask for, None for the tenant's own.

    Raises
    ------
    RequestError
        400: an unknown parameter, one that is said twice, or no language.
    """
    mistakes = [FieldError(name, "unknown", ["locale"]) for name, _ in parameters if name != "locale"]
    found = [value for name, value in parameters if name == "locale"]
    if len(found) > 1:
        mistakes.append(FieldError("locale", "conflict", "once"))
    if found and not _LOCALE.match(found[0]):
        mistakes.append(FieldError("locale", "not_allowed", "for example zh-CN"))
    if mistakes:
        raise RequestError(errors=mistakes)
    return found[0] if found else None


def appkeys_for(tenant: Tenant, locale: str | None) -> dict[int, str]:
    """The tenant's AppKeys for a language, by rate.

    Raises
    ------
    RequestError
        400: it has none for the language that was asked for.
    ConfigError
        500: it has none for its own.
    """
    found = mode.appkeys_of(tenant, locale)
    if not found and locale is not None:
        allowed = sorted({each.locale for each in tenant.appkeys})
        raise RequestError(errors=[FieldError("locale", "not_allowed", allowed)])
    if not found:
        raise ConfigError("This tenant has no AppKey for its language.", code=mode.NO_APPKEY)
    return found


class Recognitions:
    """Recognises while the caller waits. One per process.

    Parameters
    ----------
    process
        With what recordings are recognised too: decoder, recogniser, limits.
    """

    def __init__(self, process: Transcripts) -> None:
        self._process = process
        self._decoding = asyncio.Semaphore(DECODING)
        self._speaking = asyncio.Semaphore(SPEAKING)
        self._waiting = 0

    async def recognise(
        self, data: bytes, tenant: Tenant, appkeys: Mapping[int, str], deadline: Deadline
    ) -> Recognition:
        """Recognise one file.

        Raises
        ------
        AudioError
            422: it cannot be read, holds no sound, or more than a minute of it.
        LimitError
            429 `limit.quota`; nothing was sent to the service.
        Overloaded, DeadlineExceeded
            503.
        SpeechError, TokenError
            As the service has it.
        """
        begun_at = time.monotonic()
        try:
            async with asyncio.timeout(deadline.remaining()):
                found = await self._recognise(data, tenant, appkeys, deadline)
        except TimeoutError:
            raise DeadlineExceeded from None
        logs.event(
            "recognition.finished",
            audio_ms=found.duration_ms,
            channels=found.channels,
            turns=len(found.turns),
            recognitions=found.calls,
            duration_ms=round((time.monotonic() - begun_at) * 1000),
        )
        return found

    async def _recognise(
        self, data: bytes, tenant: Tenant, appkeys: Mapping[int, str], deadline: Deadline
    ) -> Recognition:
        limits = Limits(MAX_BYTES, LONGEST_MS / 1000, DECODE_SECONDS, DECODE_CPU_SECONDS)
        if self._waiting >= WAITING:
            raise Overloaded
        self._waiting += 1
        try:
            async with self._decoding:
                deadline.check()
                sound = await sides_of(await self._process.decode(data, mode.rate_for(appkeys), limits))
        except AudioError as error:
            raise _refused(error) from error
        finally:
            self._waiting -= 1
        pieces = await cut(sound)
        speaking = {piece.channel for piece in pieces}
        seconds = len(speaking) * math.ceil(sound.duration_ms / 1000)
        await self._process.limits.spend(tenant, "recognition_seconds", seconds)
        plan = SentenceMode(appkeys[sound.rate_hz], sound.rate_hz)
        turns = await recognise(pieces, plan, self._process.recognise, self._speaking, deadline)
        return Recognition(turns, sound.duration_ms, sound.channels, layout_of(sound, speaking), seconds, len(pieces))


def _refused(error: AudioError) -> AudioError:
    """With what can be done about it here."""
    if error.code == "audio.too_long":
        refused = AudioError(f"More than {LONGEST_MS // 1000} seconds.", code=error.code)
        refused.advice = "Send at most a minute, or upload the recording."
        return refused
    return error
