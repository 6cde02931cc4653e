"""How the server is set up: each of these was a fault somewhere once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from isikit.host.application import make_app
from isikit.host.server import _Holding, server_config

APP = make_app([])


@pytest.mark.parametrize(
    ("env", "port"),
    [
        ({}, 9000),
        ({"FC_SERVER_PORT": "9001"}, 9001),
        ({"FC_CUSTOM_LISTEN_PORT": "9002", "FC_SERVER_PORT": "9001"}, 9002),
    ],
)
def test_the_port_is_the_platforms(env: dict[str, str], port: int) -> None:
    assert server_config(APP, env).port == port


def test_it_listens_on_all_addresses_unless_told_otherwise() -> None:
    assert server_config(APP, {}).host == "0.0.0.0"
    assert server_config(APP, {"ISI_LISTEN_HOST": "127.0.0.1"}).host == "127.0.0.1"


def test_connections_are_kept_for_years_and_nothing_is_printed() -> None:
    config = server_config(APP, {})
    assert config.timeout_keep_alive >= 9 * 365 * 24 * 3600
    assert (config.access_log, config.log_config, config.server_header) == (False, None, False)
    assert (config.lifespan, config.loop, config.proxy_headers) == ("off", "uvloop", False)


def test_starting_loads_no_sdk() -> None:
    """Start-up time is a feature: oss2 alone takes longer to import than the rest of the host."""
    code = (
        "import sys, isikit.host.server, isikit.tenants, isikit.secrets, isikit.identity, isikit.retry;"
        "heavy = {'oss2', 'nls', 'aliyunsdkcore', 'cryptography', 'requests', 'urllib3', 'av'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    shared = str(Path(__file__).parents[3] / "shared")
    run = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": shared}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


class _Wire:
    """A transport that notes what was sent, and when it was closed."""

    def __init__(self) -> None:
        self.sent: list[bytes | None] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.sent.append(None)


def test_what_is_held_goes_out_as_one_and_nothing_else_is_held() -> None:
    wire = _Wire()
    holding = _Holding(wire)  # type: ignore[arg-type]
    holding.write(b"100 Continue")
    holding.hold(True)
    holding.write(b"head")
    holding.write(b"body")
    holding.hold(False)
    holding.write(b"more")
    assert wire.sent == [b"100 Continue", b"headbody", b"more"]


def test_a_connection_that_is_closed_after_its_answer_sends_the_answer_first() -> None:
    wire = _Wire()
    holding = _Holding(wire)  # type: ignore[arg-type]
    holding.hold(True)
    holding.write(b"answer")
    holding.close()
    holding.hold(False)
    assert wire.sent == [b"answer", None]
