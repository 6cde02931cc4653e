"""Code and layer packages: checked and unpacked when they are uploaded, layers merged as `/opt` for an instance."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import crcmod

from localcloud.fc.errors import invalid

PACKAGE_LIMIT_BYTES = 500 * 1024 * 1024
UNPACKED_LIMIT_BYTES = 2 * 1024 * 1024 * 1024  # "2 GB total per function" for layers; keeps a zip bomb off the disk
ENTRIES_LIMIT = 200_000

_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=0xFFFFFFFFFFFFFFFF)
_UNFINISHED = ".unpacking-"


@dataclass(frozen=True, slots=True)
class Package:
    """An uploaded zip. `checksum` is the decimal CRC-64/ECMA that the API reports, `size` that of the zip in bytes."""

    directory: Path
    checksum: str
    digest: str
    size: int


def store(root: Path, kind: str, zip_base64: str, expected_checksum: str = "") -> Package:
    """Decode, check and unpack a package: code to `root/code/{checksum}`, a layer to `root/layer/{checksum}`.

    What has been unpacked by an earlier run is used again. Slow: run it in a thread.

    Raises
    ------
    FcError
        400 when it is not base64, not a whole zip, too large, leaves its directory, or has another CRC-64.
    """
    try:
        data = base64.b64decode(zip_base64, validate=True)
    except ValueError as error:
        raise invalid("zipFile is not base64") from error
    return store_bytes(root, kind, data, expected_checksum)


def store_bytes(root: Path, kind: str, data: bytes, expected_checksum: str = "") -> Package:
    """The same for a package whose bytes are here."""
    if len(data) > PACKAGE_LIMIT_BYTES:
        raise invalid(f"the package is larger than {PACKAGE_LIMIT_BYTES} bytes")
    checksum = str(_crc64(data))
    if expected_checksum and expected_checksum != checksum:
        raise invalid(f"checksum mismatch: the package's CRC-64 is {checksum}, not {expected_checksum}")
    directory = root / kind / checksum
    if not directory.exists():
        with _appearing(directory) as half:
            _unpack(data, half)
    return Package(directory, checksum, hashlib.sha256(data).hexdigest(), len(data))


def merge_layers(root: Path, layers: Sequence[Package]) -> Path:
    """The directory that stands for `/opt`: all layers in one tree, the first listed wins. Slow the first time."""
    name = hashlib.sha256("\n".join(layer.digest for layer in layers).encode()).hexdigest()[:32]
    target = root / "opt" / name
    if not target.exists():
        with _appearing(target) as half:
            for layer in layers:
                _add_tree(layer.directory, half)
    return target


def clear_leftovers(root: Path) -> None:
    """Remove what a killed run left: half-unpacked packages and the homes of its instances."""
    for unfinished in root.glob(f"*/{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(root / "home", ignore_errors=True)


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A directory that gets its name when the block ends well, so that a half-filled one is never used."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=target.parent))
    try:
        yield half
        half.chmod(0o755)
        with contextlib.suppress(OSError):  # somebody else was first; it is the same content
            half.rename(target)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _unpack(data: bytes, target: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > ENTRIES_LIMIT:
                raise invalid(f"the package holds more than {ENTRIES_LIMIT} entries")
            if sum(entry.file_size for entry in entries) > UNPACKED_LIMIT_BYTES:
                raise invalid(f"the package unpacks to more than {UNPACKED_LIMIT_BYTES} bytes")
            links: set[PurePosixPath] = set()
            for entry in entries:
                _extract(archive, entry, target, links)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise invalid(f"the package is not a whole, readable zip file: {error}") from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, links: set[PurePosixPath]) -> None:
    name = PurePosixPath(entry.filename)
    if name.is_absolute() or ".." in name.parts or not links.isdisjoint(name.parents):
        raise invalid(f"the package holds {entry.filename!r}, which leaves its directory")
    path, mode = target / name, entry.external_attr >> 16
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        links.add(name)
        path.symlink_to(archive.read(entry).decode())
        return
    with archive.open(entry) as source, path.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1024 * 1024)
    path.chmod(stat.S_IMODE(mode) & 0o777 or 0o644)


def _add_tree(source: Path, target: Path) -> None:
    """Give the files of `source` a second name in `target`, in place of a copy, where nothing has that name yet."""
    for entry in source.iterdir():
        place = target / entry.name
        if entry.is_dir() and not entry.is_symlink():
            with contextlib.suppress(FileExistsError):
                place.mkdir()
            if place.is_dir() and not place.is_symlink():
                _add_tree(entry, place)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(entry, place, follow_symlinks=False)
