"""localcloud's own log: one JSON line per event in `logs/localcloud.jsonl`."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


class Log:
    """Appends events; safe to use from threads. Fields never hold texts, tokens, keys or signed URLs."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._lock = threading.Lock()

    def event(self, name: str, **fields: object) -> None:
        """Write one line: `time`, `event` and the given fields."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "event": name, **fields}, ensure_ascii=False, default=str)
        with self._lock:
            if self._file >= 0:
                os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file; later events are dropped."""
        with self._lock:
            os.close(self._file)
            self._file = -1


class _Libraries(logging.Handler):
    """Records of libraries without their messages: aiohttp's quote the request, which may hold a key or a text."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name, "level": record.levelname.lower()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error_type"] = type(error).__name__
            frames = traceback.extract_tb(error.__traceback__)[-4:]
            fields["where"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        self._log.event("library.warned", **fields)


@contextlib.contextmanager
def libraries_to(log: Log) -> Iterator[None]:
    """Send what libraries log to `log` for the time of the block."""
    handler = _Libraries(log)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
