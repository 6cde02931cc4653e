"""Recognition of one stretch of speech of at most 60 seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken, TokenSource

MAX_MS = 60_000


class Recogniser:
    """`POST /stream/v1/asr` with punctuation and inverse text normalisation."""

    def __init__(self, settings: Settings) -> None:
        raise NotImplementedError

    async def recognise(self, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline) -> str:
        """Return the text of mono s16le `pcm`; an empty string is an answer too (silence). Tries once."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close pooled connections and threads."""
        raise NotImplementedError


async def recognise_with_retry(
    recogniser: Recogniser, pcm: bytes, rate_hz: int, appkey: str, tokens: TokenSource, deadline: Deadline
) -> str:
    """Recognise with the retry rules of `isikit.nls.synthesis.speak_with_retry`."""
    raise NotImplementedError
