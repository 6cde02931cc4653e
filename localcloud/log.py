"""localcloud's own log: one JSON line per event in `logs/localcloud.jsonl`."""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime, timezone
from pathlib import Path


class Log:
    """Appends events; safe to use from threads. Fields never hold texts, tokens, keys or signed URLs."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._lock = threading.Lock()

    def event(self, name: str, **fields: object) -> None:
        """Write one line: `time`, `event` and the given fields."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "event": name, **fields}, ensure_ascii=False, default=str)
        with self._lock:
            if self._file >= 0:
                os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file; later events are dropped."""
        with self._lock:
            os.close(self._file)
            self._file = -1
