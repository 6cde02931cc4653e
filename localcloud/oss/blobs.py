"""The files under a store: written beside, renamed into place, never changed below their committed size."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from localcloud.oss.checksums import Checksums

COPY_CHUNK_BYTES = 1 << 20


class Spool:
    """One upload on its way in: a temporary file with running checksums.

    Not safe for simultaneous use; `write` and `seal` block and belong in a thread. `discard` may be called at any time
    and any number of times.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = path.open("xb")
        self.checksums = Checksums()

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self._path

    def write(self, data: bytes) -> None:
        """Take in the next bytes."""
        if self._file is None:
            raise ValueError("the spool is sealed")
        self._file.write(data)
        self.checksums.update(data)

    def seal(self) -> None:
        """Give the bytes to the kernel; nothing can be written afterwards. They outlive a kill -9, not a power cut."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Close and remove the file, if it was not adopted."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Blobs:
    """A folder of immutable or growing files, spread over 256 subfolders."""

    root: Path

    def prepare(self) -> None:
        """Create the folders."""
        (self.root / "incoming").mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (self.root / f"{number:02x}").mkdir(exist_ok=True)

    def path(self, blob: str) -> Path:
        """The file of a blob."""
        return self.root / blob[:2] / blob

    def spool(self) -> Spool:
        """A place for an upload."""
        return Spool(self.root / "incoming" / secrets.token_hex(16))

    def adopt(self, spool: Spool) -> str:
        """Seal an upload and rename it into place; returns the blob's name. The file is durable afterwards."""
        spool.seal()
        blob = secrets.token_hex(16)
        spool.path.rename(self.path(blob))
        return blob

    def link(self, source: str) -> str:
        """A second name for an immutable blob's bytes: what a copy needs. Raises FileNotFoundError."""
        blob = secrets.token_hex(16)
        os.utime(self.path(source))  # or a sweep would take the new name, not committed yet, for an old orphan
        self.path(blob).hardlink_to(self.path(source))
        return blob

    def append(self, blob: str, offset: int, spool: Spool) -> None:
        """Write an upload's bytes into a blob from `offset`, durably.

        Whoever calls holds the store's write lock and commits the new size afterwards: readers never look beyond the
        committed size, and what a crash leaves beyond it is overwritten by the next append.
        """
        spool.seal()
        with spool.path.open("rb") as source, self.path(blob).open("r+b") as target:
            target.seek(offset)
            while chunk := source.read(COPY_CHUNK_BYTES):
                target.write(chunk)
            target.truncate()

    def remove(self, blob: str) -> None:
        """Remove a blob that no index row names any more; readers that hold it open are not disturbed."""
        self.path(blob).unlink(missing_ok=True)

    def sweep(self, named: set[str], older_than: float) -> None:
        """Remove what a crash left behind: files older than `older_than` (epoch seconds) that no row names."""
        for folder in self.root.iterdir():
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                    if path.name not in named and path.stat().st_mtime < older_than:
                        path.unlink()
