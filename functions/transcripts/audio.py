"""From a file's bytes to the sides of a conversation that are worth recognising.

The bytes are never decoded in this process: `isikit.audio.probe` does that in a child.
"""

from __future__ import annotations

import asyncio
import audioop
from dataclasses import dataclass, field
from typing import Final, Literal

from isikit.audio.probe import Decoded

SAME_TO_ONE_IN: Final = 100
"""One channel copied to both sides, which recorders do with mono calls, differs at most by what a lossy codec does to
it: -40 dB. Two people on one line differ by far more, echo included."""

Layout = Literal["mono", "same_on_both_sides", "one_side_silent", "two_sides"]


@dataclass(frozen=True, slots=True)
class Side:
    """One channel: its number in the file, from 0, and its mono s16le samples."""

    channel: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sound:
    """What was decoded, with channels that would be paid twice taken out.

    Attributes
    ----------
    sides
        One or two, at `rate_hz`.
    channels
        Channels in the file.
    """

    sides: tuple[Side, ...]
    rate_hz: int
    duration_ms: int
    channels: int


async def sides_of(decoded: Decoded) -> Sound:
    """The sides of what was decoded. Of two channels that sound the same, the first."""
    sides = tuple(Side(channel, pcm) for channel, pcm in enumerate(decoded.channels))
    if len(sides) == 2 and await asyncio.to_thread(same, sides[0].pcm, sides[1].pcm):
        sides = sides[:1]
    return Sound(sides, decoded.rate_hz, decoded.duration_ms, len(decoded.channels))


def same(left: bytes, right: bytes) -> bool:
    """Whether two channels of equal length (s16le) hold the same sound."""
    if left == right:
        return True
    difference = audioop.add(left, audioop.mul(right, 2, -1), 2)
    return audioop.rms(difference, 2) * SAME_TO_ONE_IN <= min(audioop.rms(left, 2), audioop.rms(right, 2))


def layout_of(sound: Sound, speaking: set[int]) -> Layout:
    """How the channels of the file relate, given the channels on which anything is to be heard."""
    if sound.channels == 1:
        return "mono"
    if len(sound.sides) == 1:
        return "same_on_both_sides"
    return "two_sides" if len(speaking) == 2 else "one_side_silent"
