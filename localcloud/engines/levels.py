"""How loud speech is: the active level, which leaves pauses out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ACTIVE_DBOV = -26.0  # the usual level of telephone prompts
PEAK_LIMIT = 0.89  # -1 dBFS
AUDIBLE = 60.0  # of 32768; below this there is nobody to be heard
FRAME = 160

Samples = npt.NDArray[np.float32]


def active_rms(samples: Samples) -> float:
    """The RMS of the frames that are not pauses; in the samples' own unit."""
    if len(samples) < FRAME:
        return 0.0
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() / 100])))


def levelled(samples: Samples, volume: int) -> npt.NDArray[np.int16]:
    """Speech at a volume of 0..100: -26 dBov active level at 50, 6 dB more at 100, silence at 0.

    Peaks stay below -1 dBFS.
    """
    level = active_rms(samples)
    if not level or not volume:
        return np.zeros(len(samples), np.int16)
    gain = 10 ** (ACTIVE_DBOV / 20) / level * volume / 50
    gain = min(gain, PEAK_LIMIT / float(np.abs(samples).max()))
    return np.round(samples * (gain * 32767)).astype(np.int16)


def audible(samples: npt.NDArray[np.int16]) -> bool:
    """Whether there is anything to recognise."""
    return active_rms(samples.astype(np.float32)) >= AUDIBLE
