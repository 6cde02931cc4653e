"""Audio on the wire: what the service wraps its speech in, and what it unwraps of a recording."""

from __future__ import annotations

import io
import struct
from typing import Any

from localcloud.nls.status import BAD_CONTAINER, UNSUPPORTED_FORMAT, UNSUPPORTED_SAMPLE_RATE, Refusal, not_built

SPEECH_FORMATS = ("pcm", "wav", "mp3")
RECORDING_FORMATS = ("pcm", "wav", "mp3", "aac", "amr", "opus", "speex", "opu")
_DEMUXERS = {"mp3": "mp3", "aac": "aac", "amr": "amr", "opus": "ogg", "speex": "ogg"}


def streamed_wav_header(rate_hz: int, characters: int) -> bytes:
    """A WAV header whose lengths are estimates: the service sends it before it knows how long the audio will be."""
    guess = characters * rate_hz // 4 * 2 + 2 * rate_hz + 2
    return b"RIFF" + struct.pack("<I", guess + 36) + _wav_format(rate_hz) + b"data" + struct.pack("<I", guess)


def mp3(pcm: bytes, rate_hz: int) -> bytes:
    """MP3 of signed 16-bit mono samples, at 64 kbit/s (32 below 16 kHz)."""
    import av
    import numpy as np

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as out:
        stream: Any = out.add_stream("libmp3lame", rate=rate_hz)
        stream.bit_rate = 64_000 if rate_hz >= 16_000 else 32_000
        stream.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        for packets in (stream.encode(frame), stream.encode(None)):
            out.mux(packets)
    return file.getvalue()


def recording(data: bytes, audio_format: str, rate_hz: int) -> bytes:
    """The samples of a whole recording, as the project's model takes them.

    Raises
    ------
    Refusal
        40000009 for a WAV header that is none, 41010101 for one of another rate, 41010100 for what cannot be decoded.
    """
    if audio_format == "pcm":
        return data
    if audio_format == "wav":
        return wav_samples(data, rate_hz)
    demuxer = _DEMUXERS.get(audio_format)
    if demuxer is None:
        raise not_built(f"format {audio_format}")
    return _decoded(data, demuxer, rate_hz)


def wav_samples(data: bytes, rate_hz: int) -> bytes:
    """The samples behind a WAV header; lengths are taken as they come, as a streaming reader must."""
    body = wav_data_offset(data, rate_hz)
    if body is None:
        raise Refusal(BAD_CONTAINER)
    (length,) = struct.unpack_from("<I", data, body - 4)
    return data[body : body + length]


def wav_data_offset(data: bytes, rate_hz: int) -> int | None:
    """Where the samples begin; None while the header is not all there. Only 16-bit mono PCM is taken."""
    if not (b"RIFF".startswith(data[:4]) or data.startswith(b"RIFF")) or (len(data) >= 12 and data[8:12] != b"WAVE"):
        raise Refusal(BAD_CONTAINER)
    at, seen_format = 12, False
    while at + 8 <= len(data):
        name, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        if name == b"data":
            if not seen_format:
                raise Refusal(BAD_CONTAINER)
            return at + 8
        if name == b"fmt " and at + 24 <= len(data):
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at + 8)
            if (kind, channels, bits) != (1, 1, 16):
                raise Refusal(BAD_CONTAINER)
            if rate != rate_hz:
                raise Refusal(UNSUPPORTED_SAMPLE_RATE)
            seen_format = True
        at += 8 + length + length % 2
        if at > 65536:
            raise Refusal(BAD_CONTAINER, "Gateway:CLIENT_ERROR:Too large wav header!")
    return None


def _wav_format(rate_hz: int) -> bytes:
    return b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)


def _decoded(data: bytes, demuxer: str, rate_hz: int) -> bytes:
    import av
    from av.error import FFmpegError

    try:
        with av.open(io.BytesIO(data), format=demuxer) as file:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
            frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
            frames += resampler.resample(None)
    except (FFmpegError, IndexError) as error:
        raise Refusal(UNSUPPORTED_FORMAT) from error
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in frames)
