"""Ways that audio is carried and damaged on its way to a listener."""

from __future__ import annotations

import audioop
import io

import av
import numpy as np

LAYOUT = "mono"


def resampled(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Band-limited resampling by swresample."""
    resampler = av.AudioResampler(format="s16", layout=LAYOUT, rate=to_hz)
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout=LAYOUT)
    frame.sample_rate = from_hz
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(f.to_ndarray().astype("<i2").tobytes() for f in frames)


def mulaw(pcm: bytes) -> bytes:
    """G.711 mu-law and back."""
    return audioop.ulaw2lin(audioop.lin2ulaw(pcm, 2), 2)


def alaw(pcm: bytes) -> bytes:
    """G.711 A-law and back."""
    return audioop.alaw2lin(audioop.lin2alaw(pcm, 2), 2)


def gain(pcm: bytes, factor: float) -> bytes:
    """Another volume, clipped where it must be."""
    return np.clip(np.frombuffer(pcm, "<i2").astype(float) * factor, -32768, 32767).astype("<i2").tobytes()


def mp3(pcm: bytes, rate_hz: int, bit_rate: int = 64000) -> bytes:
    """MP3 and back, with the codec's delay left in."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=rate_hz)
        stream.bit_rate = bit_rate
        stream.codec_context.layout = LAYOUT
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout=LAYOUT)
        frame.sample_rate = rate_hz
        out.mux([p for f in (frame, None) for p in stream.encode(f)])
    with av.open(io.BytesIO(file.getvalue())) as back:
        resampler = av.AudioResampler(format="s16", layout=LAYOUT, rate=rate_hz)
        frames = [g for f in back.decode(audio=0) for g in resampler.resample(f)]
    return b"".join(f.to_ndarray().astype("<i2").tobytes() for f in frames)


def noisy(pcm: bytes, ratio_db: float, seed: int = 1) -> bytes:
    """White noise under the signal."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    level = np.sqrt(np.mean(samples**2)) / 10 ** (ratio_db / 20)
    return (
        np.clip(samples + np.random.default_rng(seed).normal(0, level, len(samples)), -32768, 32767)
        .astype("<i2")
        .tobytes()
    )
