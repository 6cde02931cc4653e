"""Malformed, oversized and slow input: clear errors in JSON, nothing hangs, others are served on."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute, archive
from localcloud.fc.errors import FcError


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"stall_seconds": 0.3}


def packed(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for info, data in entries:
            file.writestr(info, data)
    return buffer.getvalue()


def link(name: str, target: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def entry(name: str, data: bytes = b"x") -> tuple[zipfile.ZipInfo, bytes]:
    return zipfile.ZipInfo(name), data


def bomb() -> bytes:
    """A header that promises 3 GB."""
    data = bytearray(packed(entry("zeros", b"0" * 1000)))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (3 * 1024**3).to_bytes(4, "little")
    return bytes(data)


def lying() -> bytes:
    """A header that promises less than comes out."""
    data = bytearray(packed((entry("zeros")[0], b"0" * 100_000)))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    return bytes(data)


PACKAGES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no zip": lambda: b"PK\x03\x04 but nothing after it",
    "cut": lambda: packed(entry("a", b"a" * 5000))[:-30],
    "absolute path": lambda: packed(entry("/etc/passwd")),
    "path to the parent": lambda: packed(entry("a/../../b")),
    "through a link": lambda: packed(link("a", b"/tmp"), entry("a/b")),
    "link of odd bytes": lambda: packed(link("a", b"\xff\xfe")),
    "link with a nul": lambda: packed(link("a", b"a\x00b")),
    "file and directory of one name": lambda: packed(entry("a"), entry("a/b")),
    "long name": lambda: packed(entry("n" * 300)),
    "zip bomb": bomb,
    "wrong size": lying,
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_bad_package_is_an_invalid_argument_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(FcError) as caught:
        archive.store(tmp_path, "code", base64.b64encode(PACKAGES[name]()).decode())
    assert (caught.value.status, caught.value.code) == (400, "InvalidArgument")
    assert time.monotonic() - began < 5
    assert not list((tmp_path / "code").glob("*")) if (tmp_path / "code").exists() else True


async def post(lab: Any, path: str, body: bytes, method: str = "POST") -> tuple[int, Any]:
    """A correctly signed call with any body."""
    url = f"http://{lab.endpoint}"
    async with lab.http.request(method, url + path, data=body, headers=lab.signed(method, url, path, body)) as answer:
        return answer.status, await answer.json()


DEEP = b"[" * 100_000
CREATE = {"functionName": "f", "runtime": "custom.debian12", "handler": "h", "code": {"zipFile": "UEs="}}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"\xff", b'"text"', DEEP, b"null", b'{"functionName": 1}', b"NaN"]
    + [json.dumps(CREATE | {"code": code}).encode() for code in (1, "zip", [], {"zipFile": 3}, {"zipFile": "é"})]
    + [json.dumps(CREATE | {field: value}).encode() for field in ("timeout", "memorySize", "customRuntimeConfig")
       for value in ("x", [1], {"a": 1}, True)]
    + [json.dumps(CREATE | {field: value}).encode() for field in ("layers", "environmentVariables", "role")
       for value in (7, [7], {"a": 7})],
)  # fmt: skip
async def test_a_bad_body_is_refused_in_json(lab: Any, body: bytes) -> None:
    status, answer = await post(lab, "/2023-03-30/functions", body)
    assert status in (400, 501), answer
    assert set(answer) == {"code", "message", "requestId"}


@pytest.mark.parametrize("config", ["{", "[]", "[" * 100_000, '{"methods": 1}', '{"events": {}}', '{"filter": 1}'])
@pytest.mark.parametrize("kind", ["http", "oss", "timer"])
async def test_a_bad_trigger_config_is_refused_in_json(lab: Any, kind: str, config: str) -> None:
    await lab.create_function()
    body = json.dumps({"triggerName": "t", "triggerType": kind, "triggerConfig": config}).encode()
    status, answer = await post(lab, "/2023-03-30/functions/probe/triggers", body)
    assert (status, answer["code"]) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "x",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 " + "é" * 50,
        "ACS3-HMAC-SHA256 Credential=,SignedHeaders=,Signature=" + "0" * 64,
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=" + "0" * 64,
    ],
)
async def test_a_malformed_signature_is_refused_in_json(lab: Any, authorization: str) -> None:
    url = f"http://{lab.endpoint}/2023-03-30/functions"
    async with lab.http.get(url, headers={"Authorization": authorization}) as answer:
        assert answer.status in (400, 403)
        assert "code" in await answer.json()


async def test_a_client_that_stalls_in_its_body_is_let_go(lab: Any) -> None:
    await lab.create()
    url = next(iter(lab.fc.registry.functions["probe"].triggers.values())).url
    paths = ["/2023-03-30/functions", "/2016-08-15/services/a/functions/b/invocations"]
    places = [*((lab.endpoint, path) for path in paths), (url.removeprefix("http://"), "/")]
    for place, path in places:
        host, _, port = place.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {path} HTTP/1.1\r\nHost: {place}\r\nContent-Length: 100\r\n\r\nhalf".encode())
        line = await asyncio.wait_for(reader.readline(), 5)
        assert line.startswith(b"HTTP/1.1 408"), (path, line)
        writer.close()
    assert await lab.status(url) == 200


async def test_a_stalled_upload_to_a_function_ends_too(lab: Any) -> None:
    url = await lab.create()

    async def slow() -> Any:
        yield b"x" * 10
        await asyncio.sleep(30)

    async with lab.http.post(url, data=slow(), timeout=aiohttp.ClientTimeout(total=10)) as answer:
        assert answer.status == 408
    assert await lab.status(url) == 200


async def test_two_function_computes_do_not_mix(lab: Any, tmp_path: Path) -> None:
    clock = Clock()
    other = FunctionCompute(tmp_path / "other", Account(clock), Faults(), clock, tmp_path / "other-logs")
    await lab.status(await lab.create())
    assert len(lab.fc.instances()) == 1
    assert other.instances() == []
    assert other.registry.functions == {}
    await other.close()
    assert len(lab.fc.instances()) == 1
