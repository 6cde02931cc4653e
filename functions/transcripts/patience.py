"""Recognition that waits out trouble: nobody is on the line, so a recording can wait longer than a caller could.

What still fails afterwards ends the attempt, and the platform delivers the event again.

Retries keep to the layer's usual budget, a tenth of all calls. Waiting for a place at a busy service (40000005) is not
a retry: it was refused before anything was spent, the quota is shared with other instances and with leased clients,
and a batch has nothing better to do. So it is not charged to the budget and ends only with the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from functions.transcripts.recognise import Recognise
from isikit.host.context import Deadline
from isikit.nls.attempts import Tokens, with_token
from isikit.retry import RetryBudget

if TYPE_CHECKING:
    from functions.transcripts.process import Flash, Realtime
    from isikit.nls.flash import FlashOrder
    from isikit.nls.sentences import Sentence
    from isikit.nls.token import SpeechToken

T = TypeVar("T")

OPERATION: Final = "nls.recognition"
FLASH_OPERATION: Final = "nls.flash"
REALTIME_OPERATION: Final = "nls.realtime"
TRIES: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
TOKEN_LIFE_SECONDS: Final = 120  # a call of at most 60 s of audio takes about 12 s

Once = Callable[[bytes, int, str, "SpeechToken", Deadline], Awaitable[str]]
"""(mono s16le, rate in Hz, AppKey, token, deadline) -> text, tried once."""
FlashOnce = Callable[[bytes, "FlashOrder", "SpeechToken", Deadline], Awaitable[tuple["Sentence", ...]]]
"""(the file, how to take it, token, deadline) -> what was said, tried once."""
RealtimeOnce = Callable[[bytes, int, str, "SpeechToken", Deadline], Awaitable[tuple["Sentence", ...]]]
"""(mono s16le, rate in Hz, AppKey, token, deadline) -> what was said, tried once."""


def patiently(once: Once, tokens: Tokens, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> Recognise:
    """Recognition with repetitions, all within the deadline."""
    budget = RetryBudget()

    async def recognise(pcm: bytes, rate_hz: int, appkey: str, deadline: Deadline) -> str:
        return await _with_patience(
            lambda token: once(pcm, rate_hz, appkey, token, deadline), OPERATION, tokens, deadline, budget, pause
        )

    return recognise


def flash_patiently(
    once: FlashOnce, tokens: Tokens, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> Flash:
    """The same for whole files."""
    budget = RetryBudget()

    async def flash(data: bytes, order: FlashOrder, deadline: Deadline) -> tuple[Sentence, ...]:
        return await _with_patience(
            lambda token: once(data, order, token, deadline), FLASH_OPERATION, tokens, deadline, budget, pause
        )

    return flash


def realtime_patiently(once: RealtimeOnce, tokens: Tokens) -> Realtime:
    """Realtime with a new token where one is refused, and patience at a busy service; what broke is not played again.

    It would take as long once more, and be paid once more: the next attempt does that, or nobody.
    """
    budget = RetryBudget(share=0.0, reserve=0.0)

    async def transcribe(pcm: bytes, rate_hz: int, appkey: str, deadline: Deadline) -> tuple[Sentence, ...]:
        return await _with_patience(
            lambda token: once(pcm, rate_hz, appkey, token, deadline),
            REALTIME_OPERATION,
            tokens,
            deadline,
            budget,
            asyncio.sleep,
        )

    return transcribe


async def _with_patience(
    call: Callable[[SpeechToken], Awaitable[T]],
    operation: str,
    tokens: Tokens,
    deadline: Deadline,
    budget: RetryBudget,
    pause: Callable[[float], Awaitable[object]],
) -> T:
    return await with_token(
        call,
        operation=operation,
        tokens=tokens,
        deadline=deadline,
        budget=budget,
        attempts=TRIES,
        first_pause_seconds=FIRST_PAUSE_SECONDS,
        longest_pause_seconds=LONGEST_PAUSE_SECONDS,
        min_life_seconds=TOKEN_LIFE_SECONDS,
        sleep=pause,
    )
