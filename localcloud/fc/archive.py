"""Code and layer packages: checked, unpacked once per checksum, layers merged as `/opt`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import crcmod

from localcloud.fc.errors import invalid

PACKAGE_LIMIT_BYTES = 500 * 1024 * 1024
UNPACKED_LIMIT_BYTES = 2 * 1024 * 1024 * 1024  # "2 GB total per function" for layers; keeps a zip bomb off the disk

_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Package:
    """An uploaded zip. `checksum` is the decimal CRC-64/ECMA that the API reports; `digest` names directories."""

    data_path: Path
    checksum: str
    digest: str
    size: int


def store(root: Path, zip_base64: str, expected_checksum: str = "") -> Package:
    """Decode, check and keep a package under `root/packages`. Slow: run it in a thread.

    Raises
    ------
    FcError
        400 when it is not base64, not a zip, too large, has paths that leave its directory, or another CRC-64.
    """
    try:
        data = base64.b64decode(zip_base64, validate=True)
    except binascii.Error as error:
        raise invalid("zipFile is not base64") from error
    if len(data) > PACKAGE_LIMIT_BYTES:
        raise invalid(f"the package is larger than {PACKAGE_LIMIT_BYTES} bytes")
    _check(data)
    checksum = str(_crc64(data))
    if expected_checksum and expected_checksum != checksum:
        raise invalid(f"checksum mismatch: the package's CRC-64 is {checksum}, not {expected_checksum}")
    digest = hashlib.sha256(data).hexdigest()[:32]
    path = root / "packages" / f"{digest}.zip"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as half:
            half.write(data)
        Path(half.name).replace(path)
    return Package(path, checksum, digest, len(data))


def _check(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise invalid("the package is not a readable zip file") from error
    if damaged is not None:
        raise invalid(f"the package is damaged at {damaged}")
    if sum(entry.file_size for entry in entries) > UNPACKED_LIMIT_BYTES:
        raise invalid(f"the package unpacks to more than {UNPACKED_LIMIT_BYTES} bytes")
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        if entry.filename.startswith("/") or ".." in parts:
            raise invalid(f"the package holds the path {entry.filename!r}, which leaves its directory")


def unpack_code(root: Path, package: Package) -> Path:
    """The directory that stands for `/code`. Slow the first time."""
    return _unpack(root / "code" / package.checksum, [package])


def unpack_layers(root: Path, layers: Sequence[Package]) -> Path:
    """The directory that stands for `/opt`: layers merged, the first listed wins. Slow the first time."""
    digest = hashlib.sha256("\n".join(layer.digest for layer in layers).encode()).hexdigest()[:32]
    return _unpack(root / "opt" / digest, list(reversed(layers)))


def _unpack(target: Path, packages: Sequence[Package]) -> Path:
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    half.chmod(0o755)
    for package in packages:
        with zipfile.ZipFile(package.data_path) as archive:
            for entry in archive.infolist():
                _extract(archive, entry, half)
    try:
        half.rename(target)
    except OSError:  # somebody else was first; it is the same content
        shutil.rmtree(half, ignore_errors=True)
    return target


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    path = target / entry.filename
    if not path.parent.resolve().is_relative_to(target.resolve()):
        raise invalid(f"the package writes {entry.filename!r} through a link that leaves its directory")
    mode = entry.external_attr >> 16
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if stat.S_ISLNK(mode):
        path.symlink_to(archive.read(entry).decode())
        return
    with archive.open(entry) as source, path.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1024 * 1024)
    path.chmod(stat.S_IMODE(mode) & 0o777 or 0o644)
