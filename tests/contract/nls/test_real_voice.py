"""A real voice against the proof: every sentence passes at every rate, two fifths of one do not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from isikit.errors import SpeechError
from isikit.nls.proof import prove
from isikit.nls.synthesis import Pcm, Utterance
from localcloud.engines.speech import SpeechEngine

pytestmark = pytest.mark.speech

SENTENCES = [
    "Yes.",
    "Press one.",
    "Your verification code is 4 8 2 9 1 3.",
    "Your balance is $1,234.56.",
    "Please enter your account number followed by the pound key.",
    "Our office hours are Monday through Friday, from 9 a.m. to 5 p.m. Eastern Time.",
    "We are sorry, but the person you are trying to reach is not available right now.",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[SpeechEngine]:
    one = SpeechEngine(seed=1)
    yield one
    await one.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("speech_rate", [-300, 0, 300])
async def test_a_real_voice_passes_and_two_fifths_of_it_do_not(engine: SpeechEngine, speech_rate: int) -> None:
    for text in SENTENCES:
        spoken = await engine.speak(text, voice="abby", rate_hz=8000, volume=50, speech_rate=speech_rate, pitch_rate=0)
        one = Utterance(text, False, "abby", 8000, 50, speech_rate, 0, "appkey")
        prove(one, Pcm(spoken, 8000))
        if len(text) > 45:
            with pytest.raises(SpeechError):
                # Not half: this voice draws its durations at random, and half of a slow reading is within the bounds.
                prove(one, Pcm(spoken[: len(spoken) // 5 * 2], 8000))
