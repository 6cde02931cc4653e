"""The process that decodes one untrusted file: `python3 -m isikit.audio.child '<orders>'`, started by `probe` only.

The file comes in on stdin; what it says goes out on stdout as frames of `kind (1 byte), length (4 bytes, big-endian),
payload`:

==== ================================================================
`H`  JSON `{channels, rate_hz, source_rate_hz, codec}`, once, first
`0`  s16le samples of the first channel
`1`  s16le samples of the second channel
`E`  JSON `{samples, damaged}`, last; when only measuring also `levels`, and no samples before it
`X`  JSON `{code, detail}` instead of `E`: this file cannot be decoded
==== ================================================================

An uploaded playlist once made a decoder open other local files and URLs (an `ffconcat` or HLS list in a BytesIO, tried
with PyAV). Here FFmpeg gets one demuxer by name, its own audio codecs only, no protocol, no way to open anything, and
after the libraries are loaded the process itself may not open one more descriptor.
"""

from __future__ import annotations

import audioop
import io
import json
import math
import resource
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from isikit.audio.resample import FILTER

if TYPE_CHECKING:
    import av

MAX_CHANNELS: Final = 2
CODECS: Final = (
    *("pcm_s16le", "pcm_s16be", "pcm_u8", "pcm_s8", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
    *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_alaw", "pcm_mulaw"),
    *("adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "gsm_ms", "g722"),
    *("mp3float", "mp3", "aac", "alac", "vorbis", "opus", "speex", "flac"),
)
_SILENT_TAIL: Final = 4096  # samples; more than half the resampler's filter at any rate that occurs


class Orders(NamedTuple):
    """What `probe` asks for; travels as JSON in the first argument."""

    container: str
    rate_hz: int | None
    size: int
    max_seconds: float
    cpu_seconds: int
    memory_bytes: int
    measure: bool = False


class _Unreadable(Exception):
    def __init__(self, detail: str, code: str = "audio.unreadable") -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class _Reader:
    """All that FFmpeg sees of the file: bytes at a position. No name, no descriptor."""

    name = ""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._position = 0

    def read(self, size: int) -> bytes:
        part = bytes(self._data[self._position : self._position + size])
        self._position += len(part)
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, len(self._data))[whence]
        self._position = min(max(base + offset, 0), len(self._data))
        return self._position

    def tell(self) -> int:
        return self._position


class _Out:
    """Frames to stdout."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, kind: bytes, payload: bytes | memoryview) -> None:
        self._stream.write(kind + struct.pack(">I", len(payload)))
        self._stream.write(payload)

    def write_part(self, planes: list[memoryview]) -> None:
        for number, plane in enumerate(planes):
            self.write(b"%d" % number, plane)

    def say(self, kind: bytes, **values: object) -> None:
        self.write(kind, json.dumps(values).encode())
        self._stream.flush()


class _Levels:
    """Takes samples instead of `_Out`, and keeps only how loud each channel is, and what sets the two apart."""

    def __init__(self) -> None:
        self._squares = [0.0, 0.0, 0.0]  # of the first channel, the second, and their difference
        self._samples = 0

    def write_part(self, planes: list[memoryview]) -> None:
        sounds = [bytes(plane) for plane in planes]
        if len(sounds) == 2:
            sounds.append(audioop.add(sounds[0], audioop.mul(sounds[1], 2, -1), 2))
        count = len(sounds[0]) // 2
        for number, sound in enumerate(sounds):
            self._squares[number] += audioop.rms(sound, 2) ** 2 * count
        self._samples += count

    def rms(self) -> list[int]:
        """Of both channels and of their difference; 0 for what is not there."""
        return [round(math.sqrt(squares / max(self._samples, 1))) for squares in self._squares]


class _Channels:
    """Resamples what comes to planar s16 and writes it out, to the exact number of samples."""

    def __init__(self, out: _Out | _Levels, rate_hz: int, channels: int, max_seconds: float) -> None:
        self._out = out
        self._rate_hz, self._layout = rate_hz, "stereo" if channels == 2 else "mono"
        self._max_seconds = max_seconds
        self._resampler: Any = None
        self._source: Any = None
        self._seconds = 0.0  # of source audio, before the current source
        self._taken = 0  # samples of the current source
        self.samples = 0

    def take(self, frame: av.AudioFrame) -> None:
        import av

        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._source:  # chained Ogg streams and AAC may change in the middle
            self.finish()
            self._source = source
            self._resampler = av.AudioResampler(format="s16p", layout=self._layout, rate=self._rate_hz, options=FILTER)
        self._taken += frame.samples
        if self._seconds + self._taken / frame.sample_rate > self._max_seconds:
            raise _Unreadable(f"The recording is longer than {self._max_seconds:.0f} seconds.", "audio.too_long")
        frame.pts = None
        self._write(frame)

    def finish(self) -> None:
        """Get out what the filter still holds: it answers only when silence follows."""
        if self._resampler is None:
            return
        import av

        name, layout, rate_hz = self._source
        tail = av.AudioFrame(format=name, layout=layout, samples=_SILENT_TAIL)
        tail.sample_rate = rate_hz
        for plane in tail.planes:
            plane.update(bytes([0x80 if name.startswith("u8") else 0]) * plane.buffer_size)
        self._write(tail)
        self._write(None)
        self._seconds += self._taken / rate_hz
        self._taken = 0
        self._resampler = None

    def _write(self, frame: av.AudioFrame | None) -> None:
        due = round((self._seconds + self._taken / self._source[2]) * self._rate_hz)
        for part in self._resampler.resample(frame):
            if part is None:  # a resampler with nothing to do hands the end-of-stream mark through
                continue
            count = min(part.samples, due - self.samples)
            self._out.write_part([memoryview(plane)[: 2 * count] for plane in part.planes])
            self.samples += count


def main(argument: str) -> None:
    """Decode stdin to stdout as the orders say."""
    orders = Orders(**json.loads(argument))
    _limit(orders)
    out = _Out(sys.stdout.buffer)
    _lock()
    try:
        _decode(orders, _Reader(sys.stdin.buffer.read(orders.size)), out)
    except _Unreadable as error:
        out.say(b"X", code=error.code, detail=error.detail)
    except MemoryError:
        out.say(b"X", code="audio.crashed", detail="Decoding needed more memory than it may have.")


def _limit(orders: Orders) -> None:
    """CPU, memory and files, set by the process itself before it looks at the data."""
    memory = orders.memory_bytes + orders.size
    for which, most in (
        (resource.RLIMIT_CPU, orders.cpu_seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(which, (most, most))


def _lock() -> None:
    """Load everything that decoding needs, then allow no descriptor beyond stdin, stdout and stderr."""
    import av
    import av.audio.resampler
    import av.logging
    import av.subtitles.stream  # PyAV imports it when it meets the first stream

    av.logging.set_level(None)
    warm = _Channels(_Out(io.BytesIO()), 8000, 1, 1)
    frame = av.AudioFrame(format="flt", layout="mono", samples=16)
    frame.sample_rate = 16000
    warm.take(frame)
    warm.finish()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> None:
    raise PermissionError("a recording may not open anything")


def _decode(orders: Orders, reader: _Reader, out: _Out) -> None:
    import av

    options = {
        "format_whitelist": orders.container,
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(CODECS),
    }
    if orders.container == "mov":  # its tracks may live in other files: they stay unread
        options |= {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2", "enable_drefs": "0", "use_absolute_path": "0"}
    try:
        container = av.open(reader, "r", format=orders.container, container_options=options, io_open=_refuse_to_open)
    except (av.FFmpegError, PermissionError, ValueError) as error:
        raise _Unreadable(f"The {orders.container} file's header cannot be read.") from error
    with container:
        if not container.streams.audio:
            raise _Unreadable("The file holds no audio.")
        stream = container.streams.audio[0]
        if stream.codec_context is None or stream.codec_context.name not in CODECS:
            raise _Unreadable("The audio in this file is of a kind that is not read here.")
        stream.codec_context.thread_count = 1
        _stream(orders, container, stream, out)


def _stream(orders: Orders, container: Any, stream: Any, out: _Out) -> None:
    import av

    channels: _Channels | None = None
    levels = _Levels() if orders.measure else None
    damaged = 0
    packets = iter(container.demux(stream))
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except MemoryError:  # FFmpeg's own is a subclass
            raise
        except av.FFmpegError:
            damaged += 1  # a hole in the recording costs the hole, not the recording
            if damaged > 10_000:
                raise _Unreadable("The file is damaged throughout.") from None
            continue
        for frame in frames:
            if channels is None:
                channels = _begin(orders, stream, frame, out, levels)
            channels.take(frame)
    if channels is not None:
        channels.finish()
    if channels is None or not channels.samples:
        if damaged:
            raise _Unreadable("Nothing in the file could be decoded.")
        raise _Unreadable("The file holds no sound.", "audio.empty")
    found = {} if levels is None else {"levels": levels.rms()}
    out.say(b"E", samples=channels.samples, damaged=damaged, **found)


def _begin(orders: Orders, stream: Any, frame: av.AudioFrame, out: _Out, levels: _Levels | None) -> _Channels:
    count = frame.layout.nb_channels
    if count > MAX_CHANNELS:
        raise _Unreadable(f"The recording has {count} channels; one or two are read.")
    rate_hz = orders.rate_hz or (8000 if frame.sample_rate == 8000 else 16000)
    out.say(b"H", channels=count, rate_hz=rate_hz, source_rate_hz=frame.sample_rate, codec=stream.codec_context.name)
    return _Channels(levels or out, rate_hz, count, orders.max_seconds)


if __name__ == "__main__":
    main(sys.argv[1])
