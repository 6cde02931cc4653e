"""What a synthesis is, whichever transport speaks it, and the proof that its audio is whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken, TokenSource

MAX_CHARACTERS = 300  # beyond them the service cuts plain text off in silence


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
    """A transport. It tries once, proves the result, and raises `SpeechError`; it never returns doubtful audio."""

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """Speak one utterance."""
        ...

    async def close(self) -> None:
        """Close pooled connections and threads."""
        ...


def speaker(settings: Settings) -> Speaker:
    """The transport that `ISI_NLS_TRANSPORT` names."""
    raise NotImplementedError


async def speak_with_retry(speaker: Speaker, utterance: Utterance, tokens: TokenSource, deadline: Deadline) -> Pcm:
    """Speak with a token from `tokens`: the one place where synthesis is retried.

    A refused token is replaced once, 40000005 waits with jitter, other retryable errors get one more try, all within
    the deadline.
    """
    raise NotImplementedError


def characters(text: str, is_ssml: bool = False) -> int:
    """Characters as the service counts them: every code point but leading and trailing space; no SSML tags."""
    raise NotImplementedError


def billed(text: str, is_ssml: bool = False) -> int:
    """Billed calls: every started 100 characters."""
    raise NotImplementedError


def expected_ms(text: str, speech_rate: int = 0, is_ssml: bool = False) -> int:
    """How long the text should take to speak, in milliseconds."""
    raise NotImplementedError


def prove(utterance: Utterance, pcm: Pcm) -> None:
    """Raise `SpeechError` (`nls.truncated`) unless the audio is as long as the text demands."""
    raise NotImplementedError
