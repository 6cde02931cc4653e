"""From a prompt to the samples of its master: pieces spoken in parallel, so many at once, joined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from functions.prompts import mastering
from functions.prompts.circuit import Circuit
from functions.prompts.prompt import Prompt
from functions.prompts.together import every
from isikit import logs
from isikit.errors import ConfigError, DeadlineExceeded, IsiError, Overloaded, SpeechError
from isikit.host.context import Deadline
from isikit.limits import Limits
from isikit.nls.places import Placed, Places
from isikit.nls.synthesis import Pcm, Speaker, Utterance, speak_with_retry
from isikit.nls.token import TokensOfTenants, TokenSource
from isikit.tenants import Tenant


@dataclass(slots=True)
class Progress:
    """How far a synthesis is, for who waits for it.

    Attributes
    ----------
    is_queued
        Whether it waits for a place, and nothing was spent on it yet.
    has_begun
        Whether the speech service was asked for anything.
    """

    is_queued: bool = False
    has_begun: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """A master's samples: mono s16le."""

    pcm: bytes = field(repr=False)
    rate_hz: int

    @property
    def duration_ms(self) -> int:
        """Exact: masters are whole milliseconds long."""
        return len(self.pcm) // 2 * 1000 // self.rate_hz


class Synthesis:
    """The speech service, as prompts use it.

    Parameters
    ----------
    speaker
        A transport.
    tokens
        Where tokens come from: of the account that the tenant's AppKeys are of.
    concurrency
        The most calls to the service at once; how many it is now follows its refusals. Hits never wait here.
    limits
        The daily quota `synthesis_calls` counts here, and nowhere else: what is found costs nothing.
    clock
        Wall time in seconds.
    """

    def __init__(
        self,
        speaker: Speaker,
        tokens: TokensOfTenants,
        concurrency: int,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._circuit = Circuit(speaker, clock=clock)
        self._tokens = tokens
        self._places = Places(concurrency, clock)
        self._limits = limits

    def check(self) -> None:
        """Raise `SpeechPaused` where the speech service is down and is not asked now."""
        self._circuit.check()

    async def speak(self, prompt: Prompt, tenant: Tenant, deadline: Deadline, progress: Progress) -> Spoken:
        """Speak a prompt.

        Its billed calls are taken from the tenant's day before the service is asked, and given back where it never
        was. What fails after that stays taken, although the service may not have charged all of it.

        Raises
        ------
        LimitError
            429 `limit.quota`; nothing was spent.
        Overloaded
            No place was free in time; nothing was spent.
        DeadlineExceeded
            Time ran out later than that.
        SpeechPaused
            The service is down and was not asked.
        SpeechError, TokenError
            As the service said, or its success could not be proved.
        """
        begun_at = monotonic()
        cost = prompt.cost()
        appkey, tokens = _appkey(tenant, prompt.locale), self._tokens.for_tenant(tenant)
        parts = prompt.pieces()
        self.check()
        await self._limits.spend(tenant, "synthesis_calls", cost.calls)

        def utterance(text: str) -> Utterance:
            return Utterance(
                text=text,
                is_ssml=prompt.is_ssml,
                voice=prompt.voice,
                sample_rate_hz=prompt.master_rate_hz,
                volume=prompt.volume,
                speech_rate=prompt.speech_rate,
                pitch_rate=prompt.pitch_rate,
                appkey=appkey,
            )

        try:
            spoken = await every([self._piece(utterance(part), tokens, deadline, progress) for part in parts])
            pcm = mastering.join([part.samples for part in spoken], prompt.master_rate_hz, trim=not prompt.is_ssml)
            if prompt.volume and mastering.is_silent(pcm):
                raise SpeechError("The audio is silent.", code="nls.silent")
        except IsiError as error:
            logs.failure("synthesis.failed", error, level="warning", voice=prompt.voice, pieces=len(parts))
            raise
        except asyncio.CancelledError:
            if progress.has_begun:
                spent = {"characters_possible": cost.characters, "calls_possible": cost.calls}
                logs.event("synthesis.abandoned", level="warning", voice=prompt.voice, pieces=len(parts), **spent)
            raise
        finally:
            if not progress.has_begun:
                self._limits.give_back(tenant, "synthesis_calls", cost.calls)
        done = Spoken(pcm, prompt.master_rate_hz)
        logs.event(
            "synthesis.finished",
            voice=prompt.voice,
            locale=prompt.locale,
            pieces=len(parts),
            characters_billed=cost.characters,
            calls_billed=cost.calls,
            audio_ms=done.duration_ms,
            duration_ms=round((monotonic() - begun_at) * 1000, 2),
        )
        return done

    async def _piece(self, utterance: Utterance, tokens: TokenSource, deadline: Deadline, progress: Progress) -> Pcm:
        progress.is_queued = self._places.locked() and not progress.has_begun
        try:
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes as the place is given.
            async with asyncio.timeout(deadline.remaining()):
                await self._places.acquire()
        except TimeoutError as error:
            raise DeadlineExceeded if progress.has_begun else Overloaded from error
        progress.has_begun, progress.is_queued = True, False
        placed = Placed(self._circuit, self._places)
        try:
            return await speak_with_retry(placed, utterance, tokens, deadline)
        finally:
            await placed.close()


def _appkey(tenant: Tenant, locale: str) -> str:
    """The AppKey of the locale, of its language, or else the first: any project can speak with any voice.

    A project that is kept for other uses is left alone.
    """

    def fit(found: str) -> int:
        return 2 if found == locale else int(found.partition("-")[0] == locale.partition("-")[0])

    able = [each for each in tenant.appkeys if not each.uses or "tts" in each.uses]
    if not able:
        raise ConfigError("The tenant has no AppKey that may speak.", code="tenants.no_appkey")
    return max(able, key=lambda each: fit(each.locale)).appkey
