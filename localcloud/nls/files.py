"""Recordings in files: containers and codecs by PyAV, one or two channels, decoded piece by piece.

What is decoded is named beforehand or is on a short list: PyAV would otherwise follow playlists and descriptions to
other files and addresses.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

DEMUXERS = "wav,mp3,mov,aac,ogg,flac,amr,asf"
MAX_CHANNELS = 2


class Unreadable(Exception):
    """A file that cannot be recognised.

    `reason` is `container` (not an audio file), `no_audio` (a container without an audio stream), `channels` (more than
    two), `damaged` (broken audio) or `too_long`.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Recording:
    """An audio file. Reads are blocking: use it from a thread."""

    def __init__(self, data: bytes, demuxer: str | None = None) -> None:
        import av
        from av.error import FFmpegError

        options = {"format_whitelist": demuxer or DEMUXERS, "protocol_whitelist": "none"}
        try:
            self._file: Any = av.open(io.BytesIO(data), format=demuxer, container_options=options)
        except (FFmpegError, ValueError, OSError) as error:
            raise Unreadable("container") from error
        if not self._file.streams.audio:
            raise Unreadable("no_audio")
        self._stream = self._file.streams.audio[0]
        self.rate_hz = int(self._stream.rate or 0)
        self.channels = int(self._stream.codec_context.channels)
        if not self.rate_hz or not self.channels:
            raise Unreadable("no_audio")
        if self.channels > MAX_CHANNELS:
            raise Unreadable("channels")

    def pieces(self, rate_hz: int, limit_ms: int) -> Iterator[list[bytes]]:
        """The samples at a rate, one `bytes` of signed 16-bit mono samples a channel.

        Raises
        ------
        Unreadable
            `too_long` beyond `limit_ms`, `damaged` where the codec gives up.
        """
        import av
        from av.error import FFmpegError

        resampler = av.AudioResampler(format="s16p", layout="stereo" if self.channels == 2 else "mono", rate=rate_hz)
        samples = 0
        try:
            with self._file:
                for frame in self._file.decode(self._stream):
                    samples += frame.samples
                    if samples * 1000 // self.rate_hz > limit_ms:
                        raise Unreadable("too_long")
                    yield from _split(resampler.resample(frame))
                yield from _split(resampler.resample(None))
        except (FFmpegError, ValueError) as error:
            raise Unreadable("damaged") from error
        if not samples:
            raise Unreadable("no_audio")


def _split(frames: list[Any]) -> Iterator[list[bytes]]:
    for frame in frames:
        yield [channel.astype("<i2").tobytes() for channel in frame.to_ndarray()]
