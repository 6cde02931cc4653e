"""Recordings of every kind that is read, and files that try to make a decoder open something else."""

from __future__ import annotations

import ctypes
import io
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import av

from isikit.audio import wav


def encoded(pcm_channels: list[bytes], rate_hz: int, container: str, codec: str) -> bytes:
    """Encode one or two channels of s16le with FFmpeg."""
    layout = "stereo" if len(pcm_channels) == 2 else "mono"
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout, options={"strict": "-2"})
        converter = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate_hz, frame_size=960)
        frame = av.AudioFrame(format="s16p", layout=layout, samples=len(pcm_channels[0]) // 2)
        frame.sample_rate = rate_hz
        for plane, channel in zip(frame.planes, pcm_channels, strict=True):
            plane.update(channel)
        for part in (*converter.resample(frame), *converter.resample(None)):
            if part is not None:
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def interleaved(left: bytes, right: bytes) -> bytes:
    """Two channels of s16le as one stream of frames."""
    out = bytearray(2 * len(left))
    for byte in (0, 1):
        out[byte::4] = left[byte::2]
        out[2 + byte :: 4] = right[byte::2]
    return bytes(out)


def movie_whose_sound_lies_in(path: str, pcm: bytes, rate_hz: int) -> bytes:
    """A QuickTime file whose only track says, by a Macintosh alias record, that its samples are in the file `path`."""
    movie = encoded([pcm], rate_hz, "mov", "pcm_s16le")
    start = movie.index(b"dref") - 4
    size = struct.unpack_from(">I", movie, start)[0]
    name = path.encode()
    alias = b"".join(
        (
            bytes(10),
            bytes(28),
            bytes(12),
            bytes(64),
            bytes(16),
            struct.pack(">HH", 0, 0),
            bytes(16),
            struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2),
            struct.pack(">hH", -1, 0),
        )
    )
    entry = struct.pack(">I", len(alias) + 12) + b"alis" + bytes(4) + alias
    reference = struct.pack(">I", len(entry) + 16) + b"dref" + bytes(4) + struct.pack(">I", 1) + entry
    patched = bytearray(movie[:start] + reference + movie[start + size :])
    for atom in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = patched.index(atom) - 4
        old = struct.unpack_from(">I", patched, place)[0]
        struct.pack_into(">I", patched, place, old + len(reference) - size)
    return bytes(patched)


class Trap:
    """A file and a listening socket that nobody may touch. The kernel (inotify) tells whether the file was opened."""

    def __init__(self, folder: Path, sound: bytes) -> None:
        self.path = folder / "secret.wav"
        self.path.write_bytes(wav.write(sound, 8000))
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._watch, os.fsencode(self.path), 0x20) >= 0  # IN_OPEN
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/secret.wav"

    def sprung(self) -> list[str]:
        """What was touched since the last call: `file`, `network`."""
        touched = []
        try:
            os.read(self._watch, 4096)
            touched.append("file")
        except BlockingIOError:
            pass
        try:
            self._listener.accept()[0].close()
            touched.append("network")
        except BlockingIOError:
            pass
        return touched

    def close(self) -> None:
        os.close(self._watch)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def trap(folder: Path, sound: bytes) -> Iterator[Trap]:
    """A trap, cleared away at the end."""
    with Trap(folder, sound) as one:
        yield one
