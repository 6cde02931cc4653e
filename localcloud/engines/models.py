"""Piper and Whisper, loaded when first needed and kept. Runs in the child process only."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np

from localcloud.engines import weights
from localcloud.engines.levels import levelled
from localcloud.engines.pace import stretch
from localcloud.engines.resampling import resample

WHISPER_HZ = 16_000
THREADS = 2  # requests at work at once, each on one core


class Voice:
    """Piper's `joe` (US English). Safe to use from several threads.

    Two readings of one text differ, as they do with the real service.

    Parameters
    ----------
    seed
        Makes the sequence of readings the same in every process; for tests.
    """

    def __init__(self, seed: int | None = None) -> None:
        import onnxruntime  # type: ignore[import-untyped]
        from piper import PiperVoice
        from piper.config import PiperConfig

        if seed is not None:
            onnxruntime.set_seed(seed)
        folder = weights.voice_folder()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(folder / "en_US-joe-medium.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
        )
        config = json.loads((folder / "en_US-joe-medium.onnx.json").read_text(encoding="utf-8"))
        self._voice: Any = PiperVoice(config=PiperConfig.from_dict(config), session=session)
        self._phonemes = threading.Lock()  # espeak-ng keeps its voice in a global

    def speak(self, text: str, rate_hz: int, volume: int, speech_rate: int, pitch_rate: int) -> bytes:
        """Samples at `rate_hz`. The pitch is shifted up to 4 semitones by resampling, the length kept."""
        from piper import SynthesisConfig

        shift = 2 ** (pitch_rate / 1500)
        config = SynthesisConfig(length_scale=stretch(speech_rate) * shift, normalize_audio=False)
        with self._phonemes:
            sentences = self._voice.phonemize(text)
        parts = [
            self._voice.phoneme_ids_to_audio(self._voice.phonemes_to_ids(phonemes), config)
            for phonemes in sentences
            if phonemes
        ]
        if not parts:
            return b""
        samples = np.concatenate(parts).astype(np.float32)
        pcm = levelled(samples, volume).astype("<i2").tobytes()
        return resample(pcm, round(self._voice.config.sample_rate * shift), rate_hz)


class Ears:
    """Whisper tiny.en, 8-bit. Safe to use from several threads."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        self._model: Any = WhisperModel(
            str(weights.whisper_folder()),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            num_workers=THREADS,
            local_files_only=True,
        )

    def recognise(self, pcm: bytes, rate_hz: int) -> str:
        """The English text; one guess (beam 1), nothing for what Whisper itself doubts to be speech."""
        samples = np.frombuffer(resample(pcm, rate_hz, WHISPER_HZ), "<i2").astype(np.float32) / 32768
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            vad_filter=False,
            condition_on_previous_text=False,  # or one repetition breeds the next
            without_timestamps=False,
        )
        return " ".join(text for segment in segments if (text := _credible(segment)))


class Models:
    """Both, each loaded once, by the first request that needs it. `seed`: see `Voice`."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._loading = threading.Lock()
        self._voice: Voice | None = None
        self._ears: Ears | None = None

    def voice(self) -> Voice:
        """The voice."""
        with self._loading:
            if self._voice is None:
                self._voice = Voice(self._seed)
            return self._voice

    def ears(self) -> Ears:
        """The recogniser."""
        with self._loading:
            if self._ears is None:
                self._ears = Ears()
            return self._ears


def _credible(segment: Any) -> str:
    """A segment's text, unless it is doubtful speech (Whisper's own thresholds). People do repeat themselves."""
    if segment.no_speech_prob > 0.6 and segment.avg_logprob < -1.0:
        return ""
    return str(segment.text).strip()
