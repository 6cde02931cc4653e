"""Test signals: s16le, made without any library."""

from __future__ import annotations

import math
import random
from array import array


def sine(frequency_hz: float, rate_hz: int, duration_ms: int = 1000, amplitude: int = 20000) -> bytes:
    """A pure tone."""
    step = 2 * math.pi * frequency_hz / rate_hz
    return array("h", (round(amplitude * math.sin(step * n)) for n in range(rate_hz * duration_ms // 1000))).tobytes()


def silence(rate_hz: int, duration_ms: int) -> bytes:
    """Digital silence."""
    return bytes(2 * (rate_hz * duration_ms // 1000))


def noise(rate_hz: int, duration_ms: int, amplitude: int, seed: int = 1) -> bytes:
    """White noise."""
    chance = random.Random(seed)
    return array("h", (chance.randint(-amplitude, amplitude) for _ in range(rate_hz * duration_ms // 1000))).tobytes()
