"""Recognition of what was decoded: pieces between pauses, a few at a time, put together as turns; or whole sides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from functions.transcripts.audio import Side, Sound
from functions.transcripts.mode import LONGEST_PIECE_MS, PIECE_MS, SentenceMode, WholeMode
from functions.transcripts.transcript import Turn, clean
from isikit.audio import levels
from isikit.errors import SpeechAudioRefused
from isikit.host.context import Deadline

if TYPE_CHECKING:
    from functions.transcripts.process import Realtime
    from isikit.nls.sentences import Sentence

Recognise = Callable[[bytes, int, str, Deadline], Awaitable[str]]
"""(mono s16le, rate in Hz, AppKey, deadline) -> text. Retries are its own business, within the deadline."""

NO_SPEECH = "nls.no_speech"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one side to recognise at once."""

    channel: int
    start_ms: int
    end_ms: int
    pcm: bytes = field(repr=False)


async def cut(sound: Sound) -> list[Piece]:
    """Cut all sides at their pauses. A silent side has no pieces, and so costs nothing."""
    pieces: list[Piece] = []
    for side in sound.sides:
        found = await asyncio.to_thread(levels.cut_points, side.pcm, sound.rate_hz, PIECE_MS, LONGEST_PIECE_MS)
        for start_ms, end_ms in found:
            start, end = (at_ms * sound.rate_hz // 1000 * 2 for at_ms in (start_ms, end_ms))
            # The last piece may end within the millisecond that was cut off from the duration.
            last_ms = max(min(end_ms, sound.duration_ms), start_ms + 1)
            pieces.append(Piece(side.channel, start_ms, last_ms, side.pcm[start:end]))
    return pieces


async def recognise(
    pieces: list[Piece], plan: SentenceMode, call: Recognise, places: asyncio.Semaphore, deadline: Deadline
) -> tuple[Turn, ...]:
    """Recognise all pieces, or none.

    Parameters
    ----------
    call
        Recognises one piece.
    places
        Calls to the speech service at once, over all recordings of this instance.

    Returns
    -------
    tuple of Turn
        By time; pieces in which nothing was said are left out.

    Raises
    ------
    SpeechError, TokenError, DeadlineExceeded
        Of the first piece that failed; the others are given up.
    """

    async def one(piece: Piece) -> Turn | None:
        async with places:
            deadline.check()
            try:
                text = await call(piece.pcm, plan.rate_hz, plan.appkey, deadline)
            except SpeechAudioRefused as error:
                if error.code != NO_SPEECH:
                    raise
                text = ""
        text = clean(text)
        return Turn(piece.start_ms, piece.end_ms, piece.channel, text) if text else None

    tasks = [asyncio.ensure_future(one(piece)) for piece in pieces]
    try:
        turns = await asyncio.gather(*tasks)
    finally:
        # Nothing goes on after the answer: what has not ended is cancelled, and waited for.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(sorted((turn for turn in turns if turn is not None), key=lambda turn: (turn.start_ms, turn.channel)))


async def every_side(
    sound: Sound, plan: WholeMode, call: Realtime, places: asyncio.Semaphore, deadline: Deadline
) -> list[Sentence]:
    """Recognise all sides in realtime, side by side; those without a loud moment are left out.

    Raises
    ------
    SpeechError, TokenError, DeadlineExceeded
        Of the first side that failed; the other is given up.
    """

    async def one(side: Side) -> list[Sentence]:
        async with places:
            said = await call(side.pcm, plan.rate_hz, plan.appkey, deadline)
        return [replace(sentence, channel=side.channel) for sentence in said]

    speaking = {piece.channel for piece in await cut(sound)}
    tasks = [asyncio.ensure_future(one(side)) for side in sound.sides if side.channel in speaking]
    try:
        found = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [sentence for said in found for sentence in said]
