"""Sentences by silence, in audio time: how long the sender took does not matter, only what it sent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAME_MS = 10
SPEECH_RMS = 100.0  # of 32768: -50 dBFS, above G.711's idle noise
ONSET_FRAMES = 2
LEAD_MS = 200  # audio before the first loud frame that belongs to the sentence
LONGEST_MS = 60_000


@dataclass(frozen=True, slots=True)
class Begin:
    """A sentence begins `time_ms` after the start of the audio; `index` counts from 1."""

    index: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class End:
    """A sentence ended; `time_ms` is the audio processed so far, `speech_end_ms` where its last loud frame ended."""

    index: int
    begin_ms: int
    time_ms: int
    pcm: bytes
    speech_end_ms: int = 0


class Segmenter:
    """Cuts a stream of signed 16-bit mono samples where it is silent for `silence_ms`, or at `longest_ms`."""

    def __init__(self, rate_hz: int, silence_ms: int = 800, longest_ms: int = LONGEST_MS) -> None:
        self._longest_ms = longest_ms
        self._frame_bytes = rate_hz * FRAME_MS // 1000 * 2
        self._silence_frames = silence_ms // FRAME_MS
        self._rest = b""
        self._frames = 0
        self._lead: list[bytes] = []
        self._onset = 0
        self._sentence: list[bytes] | None = None
        self._begin_ms = 0
        self._quiet = 0
        self._index = 0

    @property
    def processed_ms(self) -> int:
        """Audio seen so far."""
        return self._frames * FRAME_MS

    @property
    def begun(self) -> bool:
        """Whether any sentence has begun yet."""
        return self._index > 0

    def feed(self, pcm: bytes) -> list[Begin | End]:
        """Take samples of any length and tell which sentences began and ended in them."""
        data = self._rest + pcm
        whole = len(data) // self._frame_bytes * self._frame_bytes
        self._rest = data[whole:]
        if not whole:
            return []
        samples = np.frombuffer(data[:whole], "<i2").reshape(-1, self._frame_bytes // 2).astype(np.float32)
        loud = np.sqrt(np.mean(samples**2, axis=1)) >= SPEECH_RMS
        found: list[Begin | End] = []
        for number, is_loud in enumerate(loud.tolist()):
            at = number * self._frame_bytes
            found += self._step(data[at : at + self._frame_bytes], is_loud)
        return found

    def finish(self) -> list[Begin | End]:
        """The end of the audio: an open sentence ends here."""
        return [self._end()] if self._sentence is not None else []

    def _step(self, frame: bytes, loud: bool) -> list[Begin | End]:
        self._frames += 1
        if self._sentence is None:
            self._lead = [*self._lead[-(LEAD_MS // FRAME_MS) :], frame]
            self._onset = self._onset + 1 if loud else 0
            if self._onset < ONSET_FRAMES:
                return []
            self._index += 1
            self._begin_ms = self.processed_ms - ONSET_FRAMES * FRAME_MS
            self._sentence, self._lead, self._quiet = self._lead, [], 0
            return [Begin(self._index, self._begin_ms)]
        self._sentence.append(frame)
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet >= self._silence_frames or len(self._sentence) * FRAME_MS >= self._longest_ms:
            return [self._end()]
        return []

    def _end(self) -> End:
        pcm = b"".join(self._sentence or [])
        self._sentence, self._onset = None, 0
        return End(self._index, self._begin_ms, self.processed_ms, pcm, self.processed_ms - self._quiet * FRAME_MS)
