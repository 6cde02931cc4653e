"""The reference clients' leases on machines that sleep, and whose clocks are set."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from support.node import NODE

CLIENTS = Path(__file__).parents[3] / "docs" / "clients"
LEASE = {"token": "t", "refresh_in": 3000, "expires_in": 3600}
SETTINGS = {
    "slept": [(0, 0), (3100, 5)],
    "set back by a day while it ran on": [(0, 0), (3100 - 86_400, 3100)],
    "set back by a little while it ran on": [(0, 0), (2000, 3100)],
    "set ahead": [(0, 0), (86_400, 5)],
    "as it should be": [(0, 0), (2900, 2900), (3100, 3100)],
}
"""(wall, monotonic) seconds at each use; the last is to ask again, none before."""


def python(moments: list[tuple[float, float]]) -> list[int]:
    module, asked, seen = _speech(), 0, []

    class Counted(module.Leases):  # type: ignore[name-defined,misc]
        def _ask(self) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            return LEASE

    leases = Counted("https://leases.example.com/v1/token", {})
    for wall, monotonic in moments:
        module.time = SimpleNamespace(  # type: ignore[attr-defined]
            time=lambda wall=wall: wall, monotonic=lambda monotonic=monotonic: monotonic
        )
        leases.get()
        seen.append(asked)
    return seen


def _speech() -> ModuleType:
    spec = importlib.util.spec_from_file_location("speech_on_odd_clocks", CLIENTS / "python" / "speech.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


def javascript(moments: list[tuple[float, float]]) -> list[int]:
    script = """
    const { Leases } = await import(process.env.MODULE);
    let moment, asked = 0;
    Date.now = () => moment[0] * 1000;
    performance.now = () => moment[1] * 1000;
    const fetch = async () => (asked++, new Response(process.env.LEASE));
    const leases = new Leases({ url: "https://leases.example.com/v1/token", headers: () => ({}), fetch });
    const seen = [];
    for (moment of JSON.parse(process.env.MOMENTS)) {
      await leases.get();
      seen.push(asked);
    }
    console.log(JSON.stringify(seen));
    """
    environment = {
        "MODULE": (CLIENTS / "javascript" / "speech.js").as_uri(),
        "LEASE": json.dumps(LEASE),
        "MOMENTS": json.dumps(moments),
    }
    command = [NODE, "--input-type=module", "--eval", script]
    said = subprocess.check_output(command, env={**os.environ, **environment}, text=True, timeout=30)
    seen: list[int] = json.loads(said)
    return seen


@pytest.mark.parametrize("client", [python, javascript])
@pytest.mark.parametrize("moments", SETTINGS.values(), ids=SETTINGS)
def test_a_lease_is_renewed_by_whichever_clock_says_that_it_is_older(
    client: Callable[[list[tuple[float, float]]], list[int]], moments: list[tuple[float, float]]
) -> None:
    assert client(moments) == [1] * (len(moments) - 1) + [2]
