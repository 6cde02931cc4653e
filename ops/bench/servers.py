"""Servers to measure, as children that end with the block."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from ops.build import ROOT
from ops.deploy import STAGE

START_SECONDS = 90.0
_POLL_SECONDS = 0.005
_STOP_SECONDS = 20.0


class NotStarted(Exception):
    """A server did not come up; the message holds its last words."""


@contextlib.contextmanager
def localcloud(out: Path, *, deployed: bool) -> Iterator[tuple[dict[str, Any], float]]:
    """A localcloud with `tone`: what its file says, and the seconds until the file was there.

    `deployed` waits for `local.json`, with the functions deployed and healthy; else for the services alone.
    """
    command = [sys.executable, "-m", "localcloud", "--out", str(out), "--engine", "tone", "--fresh"]
    if deployed:
        command += ["--deploy", sys.executable, "-m", "ops.deploy", "local"]
    ready = out / "local.json" if deployed else out / "run" / "endpoints.json"
    if ready.exists():  # of an earlier run in this directory
        ready.unlink()
    started = time.monotonic()
    with _child(command, out.with_suffix(".log"), ready.exists):
        took = time.monotonic() - started
        yield json.loads(ready.read_text(encoding="utf-8")), took


@dataclass(frozen=True, slots=True)
class Function:
    """A function as a localcloud holds it deployed: enough to run one instance of it here, beside a bare endpoint.

    Parameters
    ----------
    module
        What `python -m isikit.host` serves.
    environment
        The deployed function's own variables, and the platform's.
    headers
        What the platform sends with every request, credentials among them.
    """

    module: str
    environment: Mapping[str, str]
    headers: Mapping[str, str]


def control(endpoints: Mapping[str, Any]) -> Client:
    """The official client of a localcloud's Function Compute, by `run/endpoints.json`."""
    key = {"access_key_id": endpoints["access_key_id"], "access_key_secret": endpoints["access_key_secret"]}
    return Client(Config(endpoint=endpoints["fc"].removeprefix("http://"), protocol="http", **key))


def function(endpoints: Mapping[str, Any], name: str) -> Function:
    """What to know of a deployed function.

    Parameters
    ----------
    endpoints
        `run/endpoints.json` of a running localcloud.
    name
        `token`, `tts` or `asr`.
    """
    deployed = control(endpoints).get_function(f"speech-{name}-{STAGE}", models.GetFunctionRequest()).body
    environment = {
        **deployed.environment_variables,
        "FC_FUNCTION_NAME": deployed.function_name,
        "FC_INSTANCE_ID": f"c-bench-{name}",
        "FC_REGION": endpoints["region"],
        "FC_ACCOUNT_ID": endpoints["account_id"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}",
        "ISI_LISTEN_HOST": "127.0.0.1",
    }
    headers = {
        "x-fc-control-path": "/http-invoke",
        "x-fc-request-id": "1-65e59b07-1520da26-bf73bbb91b69",
        "x-fc-function-name": deployed.function_name,
        "x-fc-function-timeout": "60",
        "x-fc-region": endpoints["region"],
        "x-fc-account-id": endpoints["account_id"],
        "x-fc-access-key-id": endpoints["access_key_id"],
        "x-fc-access-key-secret": endpoints["access_key_secret"],
    }
    return Function(deployed.custom_runtime_config.command[-1], environment, headers)


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def pinned(command: Sequence[str], core: int) -> list[str]:
    """A command on one core, where there are two and `taskset` is installed: server and load do not share one then."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", str(core), *command]


@dataclass(frozen=True, slots=True)
class Server:
    """A server's process: where it listens, its id, and when it was started (`time.perf_counter`)."""

    url: str
    pid: int
    begun: float

    def cpu_seconds(self) -> float:
        """Processor time it has used, user and system, of all its threads (proc(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], log: Path, port: int) -> Iterator[Server]:
    """A server on core 0, its output in a file as on Function Compute. It is not waited for: `accepts` does."""
    with log.open("ab") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            pinned(command, 0), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "FC_CUSTOM_LISTEN_PORT": str(port), **environment},
        )  # fmt: skip
    try:
        yield Server(f"http://127.0.0.1:{port}", process.pid, begun)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def accepts(port: int, log: Path) -> None:
    """Wait until a server takes connections.

    Raises
    ------
    NotStarted
        It does not.
    """
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.001)
    raise NotStarted(f"nobody listens on {port}:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], log: Path, port: int) -> Iterator[Server]:
    """`started` and waited for."""
    with started(command, environment, log, port) as server:
        accepts(port, log)
        yield server


@contextlib.contextmanager
def moto(python: str, log: Path) -> Iterator[str]:
    """A plain moto server; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    with _child([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log, answers):
        yield f"http://127.0.0.1:{port}"


def has_moto(python: str) -> bool:
    """Whether an interpreter has moto's server."""
    try:
        return subprocess.run([python, "-c", "import moto.server, flask_cors"], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _child(command: Sequence[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        give_up = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > give_up:
                raise NotStarted(f"{' '.join(command[:4])} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
