"""`python -m isikit.host` in a real process, on a free port, called as the platform calls it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLATFORM = {
    "x-fc-request-id": "1-65e59b07-1520da26-bf73bbb91b69",
    "x-fc-access-key-id": "STS.canary-id",
    "x-fc-access-key-secret": "canary-secret",
    "x-fc-security-token": "canary-token",
    "x-fc-function-name": "speech-tts-dev",
    "x-fc-function-timeout": "60",
    "x-fc-region": "cn-beijing",
    "x-fc-account-id": "1234567890123456",
}


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Answer:
    """Status, headers (names in lower case) and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, response: HTTPResponse) -> Answer:
        return cls(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


class RunningHost:
    """The process, how to call it, and what it wrote.

    Parameters
    ----------
    module, folder
        What is served, and where it lies.
    log
        File for stdout and stderr.
    """

    def __init__(self, module: str, folder: Path, log: Path) -> None:
        self.port = free_port()
        self.log = log
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FC_", "ALIBABA_"))},
            "PYTHONPATH": f"{ROOT / 'shared'}:{folder}",
            "FC_CUSTOM_LISTEN_PORT": str(self.port),
            "ISI_LISTEN_HOST": "127.0.0.1",
        }
        with log.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "isikit.host", module], env=env, stdout=stdout, stderr=subprocess.STDOUT
            )

    def wait_until_healthy(self) -> None:
        """Poll the health check, as the platform does."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.send("GET", "/healthz").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the host did not come up: {self.output()}")

    def connect(self) -> HTTPConnection:
        """A connection to keep."""
        return HTTPConnection("127.0.0.1", self.port, timeout=20)

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            return Answer.of(connection.getresponse())
        finally:
            connection.close()

    def call(self, control: str, path: str = "/x", body: bytes | None = None, **changed: str) -> Answer:
        """As the platform calls: with its headers."""
        headers = {**PLATFORM, "x-fc-control-path": control}
        headers |= {"x-fc-" + name.replace("_", "-"): value for name, value in changed.items()}
        return self.send("GET" if body is None else "POST", path, headers, body)

    def output(self) -> str:
        """All it wrote."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        """Poll what it writes until `text` is there."""
        deadline = time.monotonic() + 20
        while text not in self.output():
            assert time.monotonic() < deadline, f"{text} never came: {self.output()}"
            time.sleep(0.01)

    def lines_of(self, request_id: str) -> list[str]:
        """What it wrote about one request."""
        return [line for line in self.output().splitlines() if request_id in line]

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def end(self) -> None:
        """Whatever happened, no process is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=20)
