"""The end of the guardian's pipe that this process holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).with_name("guardian.py")


class Guardian:
    """Registers process groups with `guardian.py`, which is started when first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def watch(self, group: int) -> None:
        """Have `group` killed when this process ends in whatever way."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._groups.add(group)
        self._say(f"+{group}\n")

    def forget(self, group: int) -> None:
        """The group is gone; its number may be given to somebody else."""
        if group in self._groups:
            self._groups.discard(group)
            self._say(f"-{group}\n")

    def close(self) -> None:
        """End the guardian. Call it when all groups are gone."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(timeout=5)
            self._process = None

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
