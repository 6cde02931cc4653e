"""An instance's stdout and stderr: every line goes to the function's log file as it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from pathlib import Path

LINE_LIMIT_BYTES = 32 * 1024  # "one log line: 32 KB"; what is longer is cut, as the cloud does
TAIL_BYTES = 4 * 1024  # what X-Fc-Log-Type: Tail returns


class LogFile:
    """`{functionName}.jsonl`, appended to by this process alone, a line at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, line: bytes) -> None:
        """Append one line. A few microseconds into the page cache: not worth a thread."""
        os.write(self._file, line[:LINE_LIMIT_BYTES] + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Output:
    """The pipe of one instance. `write_end` goes to the child; close it here once the child has it."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._line = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._closed = False
        self._loop.add_reader(self._read_end, self._drain)

    def tail(self) -> bytes:
        """The last 4 KB of what was written."""
        return b"".join(self._tail)[-TAIL_BYTES:]

    def child_has_it(self) -> None:
        """Close this process's copy of the write end, so that the pipe ends with the child."""
        os.close(self.write_end)

    def close(self) -> None:
        """Take what is left in the pipe and close it."""
        if not self._closed:
            self._drain()
        if not self._closed:
            self._end()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(self._read_end, 65536)
                if not data:
                    self._end()
                    return
                self._take(data)

    def _take(self, data: bytes) -> None:
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())
        *lines, rest = (bytes(self._line) + data).split(b"\n")
        for line in lines:
            self._log.write(line)
        self._line = bytearray(rest[: LINE_LIMIT_BYTES + 1])

    def _end(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        if self._line:
            self._log.write(bytes(self._line))
