"""The `speech` engine: a real English voice (Piper) and a real recogniser (Whisper), in one child process.

Piper has one voice here, US English, so every voice name sounds the same. Text with letters of another script (Chinese,
Japanese ...), or without any Latin letter or digit, is spoken by the tone engine, and what the tone engine spoke is
recognised exactly.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from localcloud.engines import EngineUnavailable, pipes, weights
from localcloud.engines.levels import audible
from localcloud.engines.tone import ToneEngine

ROOT = Path(__file__).resolve().parents[2]
Answers = dict[int, "asyncio.Future[tuple[pipes.Head, bytes]]"]
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class SpeechEngine:
    """See `Engine`. The child is started by the first request, and again if it died. `seed`: see `Voice`."""

    def __init__(self, seed: int | None = None) -> None:
        self._arguments = [] if seed is None else [str(seed)]
        weights.require_packages()
        self._tone = ToneEngine()
        self._starting = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: Answers = {}
        self._ids = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        return None if self._child is None or self._child.returncode is not None else self._child.pid

    async def load(self) -> None:
        """Load both models now, so that the first request is as fast as the next."""
        await self._ask("load", {})

    async def speak(
        self, text: str, *, voice: str, rate_hz: int, volume: int, speech_rate: int, pitch_rate: int
    ) -> bytes:
        """See `Engine.speak`; `EngineUnavailable` when the child fails."""
        options: dict[str, int] = {
            "rate_hz": rate_hz,
            "volume": volume,
            "speech_rate": speech_rate,
            "pitch_rate": pitch_rate,
        }
        if not is_english(text):
            return await self._tone.speak(text, voice=voice, **options)
        _, pcm = await self._ask("speak", {"text": text, **options})
        return pcm

    async def recognise(self, pcm: bytes, rate_hz: int) -> str:
        """See `Engine.recognise`; `EngineUnavailable` when the child fails."""
        exact = await self._tone.recognise(pcm, rate_hz)
        if exact or not audible(np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")):
            return exact
        head, _ = await self._ask("recognise", {"rate_hz": rate_hz}, pcm)
        return str(head["text"])

    async def close(self) -> None:
        """End the child. The engine starts a new one when it is used again."""
        async with self._starting:
            child, self._child = self._child, None
            if child is None:
                return
            if child.stdin is not None:
                child.stdin.close()
            try:
                async with asyncio.timeout(2):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
            if self._reader is not None:
                await self._reader

    async def _ask(self, do: str, options: dict[str, Any], body: bytes = b"") -> tuple[pipes.Head, bytes]:
        child = await self._running_child()
        if child.stdin is None:
            raise EngineUnavailable("the speech worker has no standard input")
        number = next(self._ids)
        answer: asyncio.Future[tuple[pipes.Head, bytes]] = asyncio.get_running_loop().create_future()
        waiting = self._waiting  # this child's: the next one has its own
        waiting[number] = answer
        try:
            child.stdin.write(pipes.pack({"id": number, "do": do, "with": options}, body))
            await child.stdin.drain()
            head, sound = await answer
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EngineUnavailable("the speech worker ended; the next request starts it again") from error
        finally:
            waiting.pop(number, None)
        if "error" in head:
            raise EngineUnavailable(head["error"])
        return head, sound

    async def _running_child(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._child is None or self._child.returncode is not None:
                self._child = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "localcloud.engines.worker",
                    *self._arguments,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    cwd=ROOT,
                    env=child_environment(),
                )
                self._waiting = {}
                self._reader = asyncio.create_task(_hand_out(self._child, self._waiting))
            return self._child


async def _hand_out(child: asyncio.subprocess.Process, answers: Answers) -> None:
    """Give every answer to whoever waits for it; when the child is gone, tell them all."""
    if child.stdout is None:
        return
    while (message := await pipes.read_async(child.stdout)) is not None:
        answer = answers.get(message[0]["id"])
        if answer is not None and not answer.done():
            answer.set_result(message)
    await child.wait()
    for answer in answers.values():
        if not answer.done():
            answer.set_exception(EngineUnavailable(f"the speech worker ended with code {child.returncode}"))


def child_environment() -> dict[str, str]:
    """The child's environment: no credentials, no network, one thread for each request."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def is_english(text: str) -> bool:
    """Whether the English voice can read a text: some Latin letter or digit, and no letter of another script."""
    letters = [c for c in text if c.isalpha()]
    if any("LATIN" not in unicodedata.name(c, "") for c in letters):
        return False
    return bool(letters) or any(c.isascii() and c.isdigit() for c in text)
