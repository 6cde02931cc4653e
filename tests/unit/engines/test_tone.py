"""The tone engine as the speech service uses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from localcloud import engines
from localcloud.engines.pace import natural_ms, stretch


def options(**changes: Any) -> dict[str, Any]:
    return {"voice": "xiaoyun", "rate_hz": 16000, "volume": 50, "speech_rate": 0, "pitch_rate": 0} | changes


async def test_what_was_said_is_heard() -> None:
    engine = engines.make("tone")
    pcm = await engine.speak("北京的天气。", **options())
    assert await engine.recognise(pcm, 16000) == "北京的天气。"
    await engine.close()


async def test_several_utterances_are_joined_by_a_space() -> None:
    engine = engines.make("tone")
    pcm = await engine.speak("one", **options()) + bytes(3200) + await engine.speak("two", **options())
    assert await engine.recognise(pcm, 16000) == "one two"


async def test_nothing_to_say_is_no_audio() -> None:
    assert await engines.make("tone").speak("", **options()) == b""


@pytest.mark.parametrize(("rate", "factor"), [(-500, 2.0), (-250, 1.5), (0, 1.0), (166, 0.834), (500, 0.5)])
async def test_speech_rate_changes_the_length(rate: int, factor: float) -> None:
    assert stretch(rate) == pytest.approx(factor)
    text = "请在听到提示音之后留言，我们会尽快与您联系。"
    pcm = await engines.make("tone").speak(text, **options(speech_rate=rate))
    assert len(pcm) / 32 == pytest.approx(natural_ms(text) * factor, rel=0.05)


@pytest.mark.parametrize(("volume", "peak"), [(0, 0.0), (25, 0.25), (50, 0.5), (100, 0.89)])
async def test_volume_changes_the_level(volume: int, peak: float) -> None:
    pcm = await engines.make("tone").speak("hello", **options(volume=volume))
    assert np.abs(np.frombuffer(pcm, "<i2")).max() / 32768 == pytest.approx(peak, abs=0.02)


def test_an_unknown_engine_is_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match="tone, speech"):
        engines.make("robot")
