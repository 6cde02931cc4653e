"""Band-limited resampling of a whole recording (swresample)."""

from __future__ import annotations

import numpy as np


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Signed 16-bit mono samples at another rate; the length is exact to a sample."""
    if from_hz == to_hz or not pcm:
        return pcm
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=to_hz)
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout="mono")
    frame.sample_rate = from_hz
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    out = b"".join(part.to_ndarray().astype("<i2").tobytes() for part in frames)
    wanted = len(pcm) // 2 * to_hz // from_hz * 2
    return out[:wanted].ljust(wanted, b"\0")
