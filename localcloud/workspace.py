"""The output directory of one localcloud: who holds it, and files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path


class InUse(RuntimeError):
    """Another localcloud holds the directory; the message says what to do."""


class Workspace:
    """`out/` with its parts. `claim` holds it until `release` or the end of the process, however it ends."""

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.run = self.out / "run"
        self.logs = self.out / "logs"
        self.endpoints = self.run / "endpoints.json"
        self.result = self.run / "result.json"
        self.summary = self.out / "local.json"
        self._lock: int | None = None

    def claim(self) -> None:
        """Take the directory and drop what an earlier run left announced.

        The kernel drops the lock with the process, so that a kill -9 never leaves a stale one.

        Raises
        ------
        InUse
            Somebody holds it.
        """
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is in there holds keys
        self.logs.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock, 20).decode(errors="replace").strip()
            os.close(lock)
            raise InUse(
                f"{self.out} is in use by a running localcloud (process {holder or 'unknown'}); "
                "stop it, or give this one a directory of its own with --out DIR"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
        self.withdraw()

    def empty(self) -> None:
        """Drop stored objects and logs of earlier runs. Only while the directory is claimed."""
        for path in (self.out / "oss", self.logs):
            shutil.rmtree(path, ignore_errors=True)
        self.logs.mkdir()

    def withdraw(self) -> None:
        """Remove what says that a localcloud is running here."""
        for path in (self.summary, self.endpoints, self.result):
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Withdraw and let go."""
        if self._lock is not None:
            self.withdraw()
            os.close(self._lock)
            self._lock = None


def write_whole(path: Path, content: object) -> None:
    """Write JSON so that a reader sees all of it or nothing. Readable by the owner alone: it holds keys."""
    half = path.with_name(f".{path.name}.part")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
