"""What bounds file transcription, changeable by tests: `app[FILETRANS].limits`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from localcloud.pop.errors import PopError

WINDOW_SECONDS = 1.0


@dataclass(slots=True)
class FileLimits:
    """Documented limits, and how long a task takes by the movable clock.

    Attributes
    ----------
    queue_seconds, run_seconds
        A task is QUEUEING for at least the one, then RUNNING for at least the other. The real service promises only 3 h
        (24 h on trial) for both.
    running
        Tasks running at once; the others queue.
    submit_qps, query_qps, task_qps
        Calls a second of the user, and queries a second of one TaskId.
    kept_seconds
        How long a result can be asked for.
    file_bytes, audio_ms
        The largest recording.
    download_seconds, callback_seconds
        How long a file or callback server may take (assumed).
    refuse_addresses
        Refuse URLs by IP address as the real service does, loopback too.
    """

    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    running: int = 4
    submit_qps: int = 200
    query_qps: int = 500
    task_qps: int = 1
    kept_seconds: float = 72 * 3600.0
    file_bytes: int = 512 * 1024 * 1024
    audio_ms: int = 12 * 3600 * 1000
    download_seconds: float = 60.0
    callback_seconds: float = 5.0
    refuse_addresses: bool = False


class Rate:
    """Calls within the last second."""

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def take(self, now: float, limit: int, message: str = "") -> None:
        """Count a call at `now`, or raise `Throttling.User`. Refused calls do not count (assumed)."""
        while self._at and self._at[0] <= now - WINDOW_SECONDS:
            self._at.popleft()
        if len(self._at) >= limit:
            raise PopError("Throttling.User", message)
        self._at.append(now)
