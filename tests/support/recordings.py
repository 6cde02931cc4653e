"""Recordings of calls as files: what a phone system or a browser would upload."""

from __future__ import annotations

import io

import av
import numpy as np

from localcloud.engines import modem
from localcloud.engines.pace import natural_ms

MUXERS = {"wav": ("wav", "pcm_s16le"), "mp3": ("mp3", "libmp3lame"), "aac": ("adts", "aac")} | {
    "mp4": ("mp4", "aac"),
    "opus": ("ogg", "libopus"),
    "flac": ("flac", "flac"),
    "ulaw": ("wav", "pcm_mulaw"),
}


def speech(*texts: str, rate_hz: int = 16000, pause_ms: int = 1200) -> bytes:
    """Utterances of the tone engine with a pause after each."""
    pause = bytes(2 * (rate_hz * pause_ms // 1000))
    return b"".join(modem.encode(text, rate_hz=rate_hz, duration_ms=natural_ms(text)) + pause for text in texts)


def babble(samples: int, rate_hz: int, seed: int = 1) -> bytes:
    """Noise that swells and fades like speech: coloured, in syllables of a quarter of a second, with pauses."""
    random = np.random.default_rng(seed)
    noise = np.convolve(random.normal(0, 1, samples), np.ones(4) / 2, "same")
    time_s = np.arange(samples) / rate_hz
    syllables = np.clip(np.sin(2 * np.pi * 4 * time_s), 0, None) * (np.sin(2 * np.pi * 0.2 * time_s) > -0.5)
    return np.clip(noise * syllables * 6000, -32768, 32767).astype("<i2").tobytes()


def encoded(kind: str, *channels: bytes, rate_hz: int = 16000) -> bytes:
    """Signed 16-bit channels (filled up to the same length) as a file of that kind (a key of `MUXERS`)."""
    longest = max(len(channel) for channel in channels)
    joined = np.stack([np.frombuffer(channel.ljust(longest, b"\0"), "<i2") for channel in channels], axis=1)
    layout = {1: "mono", 2: "stereo", 4: "4.0"}[len(channels)]
    muxer, codec = MUXERS[kind]
    rate_out = 48000 if codec == "libopus" else rate_hz
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as out:
        stream = out.add_stream(codec, rate=rate_out)
        stream.codec_context.layout = layout
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate_out)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(joined).reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate_hz
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            out.mux(stream.encode(part))
    return file.getvalue()
