"""Whether audio can be all of what was asked for. Success of a synthesis is proved, never believed.

A transport's own "completed" is not enough: the official SDK returns normally after a refused token, a dropped socket
and a failed task, and a body that ends early looks like a short answer.
"""

from __future__ import annotations

import audioop
from typing import TYPE_CHECKING, Final

from isikit.errors import SpeechError
from isikit.nls.length import Length, predict

if TYPE_CHECKING:
    from isikit.nls.synthesis import Pcm, Utterance

LEAST: Final = 0.5
MOST: Final = 2.5
_SHORTER_BY_MS: Final = 100
_SHORT_MS, _MORE_FOR_SHORT_MS = 2500, 200  # one word may be quicker than any rule for it
_LONGER_BY_MS: Final = 1500  # voices that draw breath, numbers read out, silence at the ends
_LONGEST_MS: Final = 600_000


def bounds_ms(length: Length) -> tuple[float, float]:
    """The shortest and the longest audio that counts as whole, in milliseconds."""
    slack = _SHORTER_BY_MS + _MORE_FOR_SHORT_MS * max(0.0, 1 - length.spoken_ms / _SHORT_MS)
    least = max(0.0, LEAST * length.spoken_ms + 0.9 * length.pauses_ms - slack)
    return least, MOST * length.spoken_ms + 1.1 * length.pauses_ms + length.extra_ms + _LONGER_BY_MS


def prove(utterance: Utterance, pcm: Pcm) -> None:
    """Hold audio against its text.

    Raises
    ------
    SpeechError
        `nls.truncated`: none, half a sample, or less than half of what the text takes. `nls.unproved`: far more than
        that, another rate, a file instead of samples, or only silence. Both are worth another try.
    """
    samples = pcm.samples
    if pcm.rate_hz != utterance.sample_rate_hz or samples[:4] in (b"RIFF", b"ID3\x03", b"ID3\x04"):
        raise _doubt("nls.unproved", "The answer is not in the format that was asked for.")
    if not samples or len(samples) % 2:
        raise _doubt("nls.truncated", "The audio is empty or ends within a sample.")
    length = predict(utterance.text, utterance.speech_rate, utterance.is_ssml)
    least, most = bounds_ms(length)
    duration_ms = len(samples) / 2 * 1000 / pcm.rate_hz
    if duration_ms < least:
        raise _doubt("nls.truncated", "The audio is shorter than its text can be.")
    if duration_ms > most:
        raise _doubt("nls.unproved", "The audio is longer than its text can be.")
    if length.spoken_ms and utterance.volume and not audioop.max(samples, 2):
        raise _doubt("nls.unproved", "The audio is silent.")


def most_bytes(utterance: Utterance) -> int:
    """How much of an answer to read: the longest audio that could count as whole, at most ten minutes, and a bit."""
    _, most_ms = bounds_ms(predict(utterance.text, utterance.speech_rate, utterance.is_ssml))
    return 65_536 + 2 * int(min(most_ms, _LONGEST_MS) * utterance.sample_rate_hz / 1000)


def _doubt(code: str, detail: str) -> SpeechError:
    error = SpeechError(detail, code=code)
    error.retryable = True
    return error
