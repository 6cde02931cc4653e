"""Concurrency of the account, counted per service over REST and WebSocket and all AppKeys together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localcloud.faults import Faults
from localcloud.nls.status import TOO_MANY_REQUESTS, Refusal

TTS, LONG_TTS, SENTENCE, REALTIME, FLASH = "tts", "long_tts", "sentence_asr", "realtime_asr", "flash"
DEFAULT_CONCURRENCY = {TTS: 200, LONG_TTS: 100, SENTENCE: 200, REALTIME: 200, FLASH: 10}


@dataclass(slots=True)
class Limits:
    """What a test or a demonstration may set; the defaults are a commercial account's.

    Attributes
    ----------
    concurrency
        Tasks at once per service (`tts`, `long_tts`, `sentence_asr`, `realtime_asr`, `flash`).
    idle_seconds
        Without client data for so long, by the account's clock, a WebSocket task fails.
    pace_slack_seconds
        How far real-time audio may run ahead of the clock. The official C++ client never holds more than 10 s.
    client_seconds
        For how long a client may send nothing of its body, or read nothing of its answer (assumed).
    flash_bytes, flash_audio_ms
        The largest file of flash recognition: 100 MB, 2 h.
    flash_seconds
        Within which flash recognition must be done, or it is 40000004.
    """

    concurrency: dict[str, int] = field(default_factory=DEFAULT_CONCURRENCY.copy)
    idle_seconds: float = 10.0
    pace_slack_seconds: float = 5.0
    client_seconds: float = 30.0
    flash_bytes: int = 100 * 1024 * 1024
    flash_audio_ms: int = 2 * 3600 * 1000
    flash_seconds: float = 50.0

    def set_concurrency(self, wanted: Mapping[str, Any]) -> None:
        """Set the tasks at once of some services; those who are at work go on.

        Raises
        ------
        ValueError
            An unknown service, or no whole number from 0 on. Nothing is changed then.
        """
        for service, count in wanted.items():
            if service not in self.concurrency:
                raise ValueError(f"{service} is none of {', '.join(self.concurrency)}")
            if type(count) is not int or count < 0:
                raise ValueError(f"{service} is a whole number from 0 on")
        self.concurrency.update(wanted)


class Quotas:
    """Counts the tasks at work. For one event loop only."""

    def __init__(self, limits: Limits, faults: Faults) -> None:
        self._limits = limits
        self._faults = faults
        self._busy: Counter[str] = Counter()
        self._peaks: Counter[str] = Counter()

    def busy(self, service: str) -> int:
        """Tasks of a service at work now."""
        return self._busy[service]

    @contextmanager
    def slot(self, service: str) -> Iterator[None]:
        """Hold one of the service's places.

        Raises
        ------
        Refusal
            40000005 when all are taken; counted as `nls.refused`.
        """
        if self._busy[service] >= self._limits.concurrency[service]:
            self._faults.add("nls.refused")
            raise Refusal(TOO_MANY_REQUESTS)
        self._busy[service] += 1
        self._raise_peak("nls.peak", self._busy.total())
        self._raise_peak(f"nls.peak.{service}", self._busy[service])
        try:
            yield
        finally:
            self._busy[service] -= 1

    def _raise_peak(self, counter: str, now: int) -> None:
        if now > self._peaks[counter]:
            self._faults.add(counter, now - self._peaks[counter])
            self._peaks[counter] = now
