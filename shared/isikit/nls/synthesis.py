"""What a synthesis is, whichever transport speaks it, and how it is tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from isikit.errors import Unspeakable
from isikit.nls.attempts import with_token
from isikit.nls.length import billed, characters, expected_ms
from isikit.nls.proof import prove
from isikit.retry import RetryBudget

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken, TokenSource

__all__ = [
    "MAX_CHARACTERS",
    "Pcm",
    "Speaker",
    "Utterance",
    "billed",
    "characters",
    "check",
    "expected_ms",
    "prove",
    "speak_with_retry",
    "speaker",
]

MAX_CHARACTERS: Final = 300  # beyond them the service cuts plain text off in silence

_budget = RetryBudget()


@dataclass(frozen=True, slots=True)
class Utterance:
    """One request to the speech service, at most 300 characters (SSML tags do not count).

    Attributes
    ----------
    text
        Plain text, or a whole `<speak>` element when `is_ssml`; not in the repr.
    volume
        0..100.
    speech_rate, pitch_rate
        -500..500.
    """

    text: str = field(repr=False)
    is_ssml: bool
    voice: str
    sample_rate_hz: int
    volume: int
    speech_rate: int
    pitch_rate: int
    appkey: str


@dataclass(frozen=True, slots=True)
class Pcm:
    """Mono s16le samples."""

    samples: bytes = field(repr=False)
    rate_hz: int

    @property
    def duration_ms(self) -> int:
        """Length in whole milliseconds, rounded."""
        return round(len(self.samples) / 2 * 1000 / self.rate_hz)


class Speaker(Protocol):
    """A transport. It tries once, proves the result, and never returns doubtful audio."""

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """Speak one utterance.

        Raises
        ------
        SpeechError
            Refused, failed, or not proved. `SpeechTokenRefused` asks for a new token.
        Unspeakable
            More than 300 characters: the service would leave out the rest and say nothing.
        Overloaded, DeadlineExceeded
            No place was free in time; there was not enough time.
        """
        ...

    async def close(self) -> None:
        """Close kept connections and threads."""
        ...


def speaker(settings: Settings) -> Speaker:
    """The transport that `ISI_NLS_TRANSPORT` names, with `ISI_NLS_CONCURRENCY` calls at once."""
    if settings.nls_transport == "sdk":
        from isikit.nls.sdk import SdkSpeaker

        return SdkSpeaker(settings.nls_websocket, settings.nls_concurrency)
    from isikit.nls.rest import RestSpeaker

    return RestSpeaker(settings.nls_rest, settings.nls_concurrency)


async def speak_with_retry(
    speaker: Speaker,
    utterance: Utterance,
    tokens: TokenSource,
    deadline: Deadline,
    *,
    budget: RetryBudget | None = None,
) -> Pcm:
    """Speak with a token from `tokens`: the one place where a synthesis is retried.

    A refused token is replaced once, 40000005 waits with jitter, what else is retryable gets one more try, all within
    the deadline. Every try that got as far as the service may be billed.

    Raises
    ------
    SpeechError, TokenError, Unspeakable, Overloaded, DeadlineExceeded
        As `Speaker.speak` and `TokenSource.get`.
    """
    return await with_token(
        lambda token: speaker.speak(utterance, token, deadline),
        operation="nls.synthesis",
        tokens=tokens,
        deadline=deadline,
        budget=budget or _budget,
    )


def check(utterance: Utterance) -> None:
    """Refuse what the service would cut off without a word.

    Raises
    ------
    Unspeakable
        `request.too_many_characters`.
    """
    if characters(utterance.text, utterance.is_ssml) > MAX_CHARACTERS:
        raise Unspeakable(f"One utterance has at most {MAX_CHARACTERS} characters.", code="request.too_many_characters")
