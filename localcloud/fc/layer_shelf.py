"""Layer versions on disk, so that a localcloud that is started again has those that were published before.

Functions are deployed at each start; layers are large, never change, and are asked for by checksum before they are
uploaded, as deployers do in the cloud.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from localcloud.fc.model import LayerVersion


class _Shelf(msgspec.Struct):
    numbers: dict[str, int]  # layer name -> the last number given; numbers are never given twice
    versions: list[LayerVersion]


def load(root: Path) -> tuple[dict[str, int], dict[str, dict[int, LayerVersion]]]:
    """Last numbers and versions of every layer whose unpacked package is still there; empty when nothing was kept."""
    try:
        shelf = msgspec.json.decode((root / "layers.json").read_bytes(), type=_Shelf, dec_hook=_path)
    except (OSError, msgspec.MsgspecError):
        return {}, {}
    layers: dict[str, dict[int, LayerVersion]] = {}
    for version in shelf.versions:
        if version.package.directory.is_dir():
            layers.setdefault(version.name, {})[version.version] = version
    return shelf.numbers, layers


def keep(root: Path, numbers: dict[str, int], layers: dict[str, dict[int, LayerVersion]]) -> None:
    """Write what `load` reads; a reader sees the old or the new whole."""
    versions = [version for by_number in layers.values() for version in by_number.values()]
    root.mkdir(parents=True, exist_ok=True)
    half = root / ".layers.json.part"
    half.write_bytes(msgspec.json.encode(_Shelf(numbers, versions), enc_hook=str))
    half.replace(root / "layers.json")


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"{kind} in layers.json")
