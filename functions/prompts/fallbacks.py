"""What is spoken instead: another voice for one that is refused, a neutral prompt while the service is down.

Neither ever speaks another value or another language, and neither lies under the id of what was asked for.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Final

from functions.prompts.prompt import Prompt
from functions.prompts.text import clean
from functions.prompts.voices import speaking
from isikit.errors import IsiError, SpeechError, SpeechTextRefused, TokenError, Unspeakable
from isikit.tenants import Tenant

REFUSED_SECONDS: Final = 300.0
"""How long an instance does not ask for a voice again that was refused: hits of the next voice stay hits meanwhile."""
VOICE_CODES: Final = ("nls.voice_forbidden", "nls.voice_unknown")


class Voices:
    """Which voices of which tenants the speech service refused lately.

    Parameters
    ----------
    clock
        Wall time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._refused_at: dict[tuple[str, str], float] = {}

    def refused(self, tenant: Tenant, prompt: Prompt) -> None:
        """Remember that a prompt's voice was refused."""
        self._refused_at[tenant.id, prompt.voice] = self._clock()

    def chain(self, tenant: Tenant, prompt: Prompt) -> Iterator[Prompt]:
        """The prompt in its own voice, then in those of its chain; those that were refused lately are left out.

        Where all were, its own voice is tried.
        """
        every = [prompt, *_in_other_voices(tenant, prompt)]
        fresh = [one for one in every if not self.was_refused(tenant, one.voice)]
        yield from fresh or every[:1]

    def was_refused(self, tenant: Tenant, voice: str) -> bool:
        """Whether a voice was refused lately."""
        if not self._refused_at:
            return False
        at = self._refused_at.get((tenant.id, voice))
        if at is None or 0 <= self._clock() - at < REFUSED_SECONDS:
            return at is not None
        del self._refused_at[tenant.id, voice]
        return False


def _in_other_voices(tenant: Tenant, prompt: Prompt) -> Iterator[Prompt]:
    able = speaking(prompt.locale, tenant.default_voice, tenant.voices)
    for name in tenant.voice_fallbacks.get(prompt.voice, ()):
        voice = able.get(name)
        if voice is None or name == prompt.voice or (prompt.is_ssml and not voice.has_ssml):
            continue
        if "<emotion" in prompt.text and not voice.has_emotions:
            continue
        yield dataclasses.replace(prompt, voice=name, master_rate_hz=voice.master_rate_hz)


def is_of_voice(error: IsiError) -> bool:
    """Whether the speech service refused the voice, and might speak the text in another one."""
    return isinstance(error, SpeechTextRefused) and error.code in VOICE_CODES


def is_of_service(error: IsiError) -> bool:
    """Whether the speech service, or its tokens, cannot be had: not the caller's mistake, and not our being full."""
    return isinstance(error, TokenError) or (
        isinstance(error, SpeechError) and not isinstance(error, SpeechTextRefused)
    )


def neutral(tenant: Tenant, locale: str) -> Prompt | None:
    """The tenant's prompt for a service that is down: the same as if its text had been asked for with no options."""
    words = tenant.fallback_prompt.get(locale)
    voice = next(iter(speaking(locale, tenant.default_voice, tenant.voices).values()), None)
    if words is None or voice is None:
        return None
    try:
        return Prompt(clean(words), False, locale, voice.name, voice.master_rate_hz)
    except Unspeakable:
        return None  # a mistake in the tenants file; that the service is down is the answer
