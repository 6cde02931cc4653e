"""Starting and stopping all services in one process."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcloud.cloud import Cloud
from localcloud.engines import EngineUnavailable
from localcloud.ports import ORDER, PortTaken, bind_all, close_all
from localcloud.workspace import InUse, Workspace, write_whole


def free_base() -> int:
    """A port from which on all ten are free now."""
    for base in range(21000, 60000, 10):
        sockets = []
        try:
            for place in range(len(ORDER)):
                bound = socket.socket()
                sockets.append(bound)
                bound.bind(("127.0.0.1", base + place))
        except OSError:
            continue
        finally:
            for bound in sockets:
                bound.close()
        return base
    raise AssertionError("no free ports")


@pytest.fixture
async def cloud(tmp_path: Path) -> Any:
    made = Cloud(tmp_path / "out")
    yield made
    await made.close()


async def test_every_service_is_bound_on_loopback_and_announced(cloud: Cloud) -> None:
    endpoints = await cloud.start()
    assert json.loads(cloud.workspace.endpoints.read_text()) == asdict(endpoints)
    assert endpoints.region == "cn-beijing"
    assert endpoints.nls_websocket == endpoints.nls_rest.replace("http://", "ws://") + "/ws/v1"
    for name in ("oss", "nls_rest", "pop", "fc", "gateway", "admin", "sls"):
        address = getattr(endpoints, name)
        assert address.startswith("http://127.0.0.1:"), name
        port = int(address.rsplit(":", 1)[1])
        socket.create_connection(("localhost", port), timeout=5).close()
    assert cloud.workspace.endpoints.stat().st_mode & 0o077 == 0, "it holds the root key"


async def test_the_ports_follow_a_base(tmp_path: Path) -> None:
    base = free_base()
    cloud = Cloud(tmp_path / "out", port_base=base)
    endpoints = await cloud.start()
    try:
        assert endpoints.gateway == f"http://127.0.0.1:{base}"
        assert endpoints.admin == f"http://127.0.0.1:{base + 6}"
        assert endpoints.function_ports == {"token": base + 7, "tts": base + 8, "asr": base + 9}
    finally:
        await cloud.close()


async def test_a_taken_port_is_named_with_the_way_out_and_nothing_stays_bound(tmp_path: Path) -> None:
    base = free_base()
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", base + 3))
        squatter.listen()
        with pytest.raises(PortTaken, match=rf"port {base + 3} .*nls.*--port-base"):
            await Cloud(tmp_path / "out", port_base=base).start()
    close_all(bind_all(base))
    other = Cloud(tmp_path / "out")
    await other.start()
    await other.close()


def test_a_port_base_beyond_the_last_port_is_refused() -> None:
    with pytest.raises(PortTaken, match="--port-base"):
        bind_all(65530)


async def test_the_same_directory_twice_is_refused_with_advice(cloud: Cloud, tmp_path: Path) -> None:
    await cloud.start()
    with pytest.raises(InUse, match="--out DIR"):
        await Cloud(tmp_path / "out").start()
    assert cloud.workspace.endpoints.exists(), "the refused one touched nothing"
    other = Cloud(tmp_path / "other")
    await other.start()
    await other.close()


async def test_closing_withdraws_the_announcement_and_frees_the_directory(cloud: Cloud, tmp_path: Path) -> None:
    endpoints = await cloud.start()
    await cloud.close()
    assert not cloud.workspace.endpoints.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(endpoints.gateway.rsplit(":", 1)[1])), timeout=5)
    again = Cloud(tmp_path / "out")
    await again.start()
    await again.close()


async def test_what_has_started_is_stopped_when_the_engine_is_missing(tmp_path: Path, monkeypatch: Any) -> None:
    def unavailable(name: str) -> Any:
        raise EngineUnavailable("install it")

    monkeypatch.setattr("localcloud.cloud.make", unavailable)
    with pytest.raises(EngineUnavailable):
        await Cloud(tmp_path / "out").start()
    Workspace(tmp_path / "out").claim()


async def test_the_gateway_says_503_until_functions_are_deployed(cloud: Cloud) -> None:
    endpoints = await cloud.start()
    async with aiohttp.ClientSession() as http, http.post(endpoints.gateway + "/v1/prompts", json={}) as answer:
        assert (answer.status, answer.content_type) == (503, "application/problem+json")


async def test_the_log_service_answers_501_and_says_where_the_lines_are(cloud: Cloud) -> None:
    endpoints = await cloud.start()
    async with aiohttp.ClientSession() as http, http.get(endpoints.sls + "/logstores") as answer:
        body = await answer.json()
        assert (answer.status, body["errorCode"]) == (501, "NotImplemented")
        assert "out/logs" in body["errorMessage"]


async def test_the_own_log_is_json_lines(cloud: Cloud) -> None:
    await cloud.start()
    lines = (cloud.workspace.logs / "localcloud.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["localcloud.started"]


def test_a_file_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, {"n": 1})
    write_whole(path, {"text": "你好"})
    assert json.loads(path.read_text()) == {"text": "你好"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


async def test_what_libraries_log_is_kept_without_its_message(cloud: Cloud) -> None:
    endpoints = await cloud.start()
    address = endpoints.gateway.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(address[0], int(address[1]))
    writer.write(b"GET / HTTP/1.1\r\nX-Api-Key: " + b"secret" * 20_000 + b"\r\n\r\n")
    await reader.read()
    writer.close()
    text = (cloud.workspace.logs / "localcloud.jsonl").read_text()
    event = json.loads(text.splitlines()[-1])
    assert (event["event"], event["logger"], event["error_type"]) == ("library.warned", "aiohttp.server", "LineTooLong")
    assert "secret" not in text
