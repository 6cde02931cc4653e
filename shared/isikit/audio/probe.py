"""Decoding of untrusted audio, always in a child process with limits on time, memory and files.

The parent looks at the first bytes itself (`sniff`), so that only five kinds of file ever reach a decoder, and then
reads what the child says with the same distrust: a decoder that was taken over can only lie about the sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from isikit.audio.sniff import container_of
from isikit.errors import AudioError

_KEPT_VARIABLES: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
_MAX_FRAME: Final = 16 * 1024 * 1024
_CHUNK: Final = 256 * 1024
_REFUSALS: Final = {code: code for code in ("audio.unreadable", "audio.empty", "audio.too_long", "audio.crashed")}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one decoding may cost.

    Attributes
    ----------
    max_bytes
        Of the file.
    max_seconds
        Of decoded sound: 12 hours of silence are 8 MB of FLAC, and are billed as 12 hours.
    wall_seconds, cpu_seconds
        Of the child process.
    memory_bytes
        Address space of the child, the file itself not counted.
    """

    max_bytes: int = 512 * 1024 * 1024
    max_seconds: float = 4 * 3600.0
    wall_seconds: float = 300.0
    cpu_seconds: int = 240
    memory_bytes: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded audio.

    Attributes
    ----------
    channels
        One or two channels of s16le samples, equally long, kept apart.
    rate_hz
        Rate of `channels`.
    container, codec
        What it was, in FFmpeg's short names (`wav`, `mp3`, `mov`, `ogg`, `flac`; `pcm_s16le`, `aac`, ...).
    source_rate_hz
        The rate in the file.
    damaged
        Packets that could not be decoded and were left out.
    """

    channels: list[bytes] = field(repr=False)
    rate_hz: int
    duration_ms: int
    container: str
    codec: str
    source_rate_hz: int
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a recording is like, without its sound: for those that are too long to be held in memory decoded.

    Attributes
    ----------
    channels
        One or two.
    levels
        RMS (of s16 samples) of the first channel, the second, and the difference of the two; 0 for what is not there.
    """

    duration_ms: int
    channels: int
    levels: tuple[int, int, int]
    container: str
    codec: str
    source_rate_hz: int
    damaged: int = 0


async def measure(data: bytes, *, limits: Limits | None = None) -> Measured:
    """Decode as `decode` does, in a child with the same limits, and keep nothing but what it is like.

    Raises
    ------
    AudioError
        As `decode`.
    """
    return (await _ask(data, None, limits or Limits(), measure=True)).measured()


async def decode(data: bytes, *, rate_hz: int | None = None, limits: Limits | None = None) -> Decoded:
    """Decode WAV, MP3, MP4/M4A, Ogg or FLAC.

    Parameters
    ----------
    data
        The whole file.
    rate_hz
        The rate wanted; `None` keeps 8000 and makes everything else 16000.

    Raises
    ------
    AudioError
        `audio.unreadable`, `audio.empty`, `audio.too_long`, `audio.too_large`, or `audio.crashed` (the decoder died,
        or took more time or memory than it may), with the reason in plain words.
    """
    return (await _ask(data, rate_hz, limits or Limits(), measure=False)).decoded()


async def _ask(data: bytes, rate_hz: int | None, limits: Limits, *, measure: bool) -> _Answer:
    """Have a child decode, and return what it said, judged as a whole."""
    if len(data) > limits.max_bytes:
        raise AudioError(f"The file is larger than {limits.max_bytes} bytes.", code="audio.too_large")
    container = container_of(data[:64])
    orders = {
        "container": container,
        "rate_hz": rate_hz,
        "size": len(data),
        "max_seconds": limits.max_seconds,
        "cpu_seconds": limits.cpu_seconds,
        "memory_bytes": limits.memory_bytes,
        "measure": measure,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-s", "-B", "-m", "isikit.audio.child", json.dumps(orders)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        cwd="/",
        start_new_session=True,
        limit=_CHUNK,
    )
    answer = _Answer(container, limits, measure=measure)
    try:
        async with asyncio.timeout(limits.wall_seconds):
            await _converse(process, data, answer)
    except TimeoutError as error:
        raise AudioError(f"Decoding took longer than {limits.wall_seconds:.0f} s.", code="audio.crashed") from error
    finally:
        await _end(process)
    answer.judge(process.returncode)
    return answer


def _environment() -> dict[str, str]:
    """What the child may know: where Python's modules are. No credentials, no settings of ours."""
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    ours = str(Path(__file__).resolve().parents[2])
    paths = [ours, *environment.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    environment["PYTHONSAFEPATH"] = "1"
    return environment


async def _converse(process: asyncio.subprocess.Process, data: bytes, answer: _Answer) -> None:
    """Feed the file and read the answer at the same time; either pipe may be full."""
    assert process.stdin is not None
    assert process.stdout is not None
    feeding = asyncio.ensure_future(_feed(process.stdin, data))
    try:
        await answer.read(process.stdout)
        await process.wait()
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding


async def _feed(stdin: asyncio.StreamWriter, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the child knew enough, or died: its answer says
        for start in range(0, len(view), _CHUNK):
            stdin.write(view[start : start + _CHUNK])
            await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the child's process group, and reap it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if process.stdin is not None:
        process.stdin.close()


class _Answer:
    """What the child said so far, checked as it comes."""

    def __init__(self, container: str, limits: Limits, *, measure: bool) -> None:
        self._container = container
        self._limits = limits
        self._measure = measure
        self._header: dict[str, Any] = {}
        self._channels: list[bytearray] = []
        self._most_bytes = 0
        self._end: dict[str, Any] | None = None
        self._levels: list[int] = []
        self._refusal: AudioError | None = None

    async def read(self, stdout: asyncio.StreamReader) -> None:
        """Read frames to the end of the stream."""
        with contextlib.suppress(asyncio.IncompleteReadError):  # the process ended; `result` judges how
            while True:
                head = await stdout.readexactly(5)
                length = struct.unpack(">I", head[1:])[0]
                if length > _MAX_FRAME:
                    raise _broken()
                self._take(head[:1], await stdout.readexactly(length))

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind in (b"0", b"1") and int(kind) < len(self._channels):
            channel = self._channels[int(kind)]
            channel += payload
            if len(channel) > self._most_bytes:
                raise _broken()
            return
        try:
            said = json.loads(payload)
            if kind == b"H" and not self._header:
                self._begin(said)
            elif kind == b"E":
                self._end = {"samples": int(said["samples"]), "damaged": int(said["damaged"])}
                self._levels = [min(int(level), 1 << 16) for level in said["levels"]] if self._measure else []
            elif kind == b"X":
                self._refusal = AudioError(str(said["detail"])[:200], code=_REFUSALS[said["code"]])
            else:
                raise _broken()
        except (ValueError, KeyError, TypeError) as error:
            raise _broken() from error

    def _begin(self, said: dict[str, Any]) -> None:
        header = {name: int(said[name]) for name in ("channels", "rate_hz", "source_rate_hz")}
        if header["channels"] not in (1, 2) or not 1 <= header["rate_hz"] <= 192_000:
            raise _broken()
        self._header = {**header, "codec": str(said["codec"])}
        self._channels = [bytearray() for _ in range(header["channels"])]
        self._most_bytes = 2 * int((self._limits.max_seconds + 1) * header["rate_hz"])

    def judge(self, returncode: int | None) -> None:
        """Raise the reason why there is no result, if there is none."""
        if self._refusal is not None:
            raise self._refusal
        if returncode != 0 or self._end is None or not self._header:
            raise _broken(returncode)
        due = 0 if self._measure else 2 * self._end["samples"]
        most = int((self._limits.max_seconds + 1) * self._header["rate_hz"])
        if {len(channel) for channel in self._channels} != {due} or not 0 <= self._end["samples"] <= most:
            raise _broken()
        if self._measure and len(self._levels) != 3:
            raise _broken()

    def decoded(self) -> Decoded:
        """The decoded audio, once it was judged."""
        return Decoded(
            channels=[bytes(channel) for channel in self._channels],
            rate_hz=self._header["rate_hz"],
            duration_ms=self._duration_ms(),
            container=self._container,
            codec=self._header["codec"],
            source_rate_hz=self._header["source_rate_hz"],
            damaged=self._ending()["damaged"],
        )

    def measured(self) -> Measured:
        """What was measured, once it was judged."""
        first, second, difference = self._levels
        return Measured(
            duration_ms=self._duration_ms(),
            channels=len(self._channels),
            levels=(first, second, difference),
            container=self._container,
            codec=self._header["codec"],
            source_rate_hz=self._header["source_rate_hz"],
            damaged=self._ending()["damaged"],
        )

    def _duration_ms(self) -> int:
        samples, rate_hz = int(self._ending()["samples"]), int(self._header["rate_hz"])
        return round(samples * 1000 / rate_hz)

    def _ending(self) -> dict[str, Any]:
        if self._end is None:
            raise _broken()
        return self._end


def _broken(returncode: int | None = None) -> AudioError:
    if returncode is not None and -returncode in (signal.SIGXCPU, signal.SIGKILL):
        return AudioError("Decoding used up its processor time or memory.", code="audio.crashed")
    return AudioError("The decoder broke down on this file.", code="audio.crashed")
