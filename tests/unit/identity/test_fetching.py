"""Fetching a key set: from the address that was looked at, and no further than that."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from isikit.identity.fetching import FetchError, fetch
from isikit.public_http import is_allowed
from support.certificates import Authority

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def served(answer: bytes | Serve, tls: Any = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback that answers every request with these bytes; its port, and what it was sent."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def _reason(url: str, seconds: float = 2.0, *, loopback: bool = True) -> str:
    with pytest.raises(FetchError) as raised:
        await fetch(url, seconds, loopback=loopback)
    return str(raised.value)


async def test_a_key_set_comes_over_tls_from_the_name_it_was_asked_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with served(OK, authority.server("localhost")) as (port, seen):
        assert await fetch(f"https://localhost:{port}/keys?a=1", 5, loopback=True) == b"{}"
        assert seen[0].startswith(f"GET /keys?a=1 HTTP/1.1\r\nHost: localhost:{port}\r\n".encode())


async def test_a_certificate_of_another_name_or_authority_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with served(OK, authority.server("elsewhere.example.com")) as (port, _):
        assert await _reason(f"https://localhost:{port}/keys") == "unreachable"
    monkeypatch.delenv("SSL_CERT_FILE")
    async with served(OK, authority.server("localhost")) as (port, _):
        assert await _reason(f"https://localhost:{port}/keys") == "unreachable"


async def test_without_the_exception_this_machine_is_never_asked() -> None:
    async with served(OK) as (port, seen):
        assert await _reason(f"http://127.0.0.1:{port}/", loopback=False) == "scheme"
        for host in ("127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"):
            assert await _reason(f"https://{host}:{port}/", loopback=False) in {"address", "unreachable"}
        assert seen == []


async def test_with_the_exception_http_is_for_this_machine_alone() -> None:
    assert await _reason("http://192.0.2.1/") in {"address", "scheme"}
    assert await _reason("https://127.0.0.1:70000/") == "address"
    assert await _reason("ftp://127.0.0.1/") == "scheme"
    assert await _reason("file:///etc/passwd") == "scheme"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "2001:db8::1",
        "::169.254.169.254",
        "::ffff:0:7f00:1",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "5f00::1",
    ],
)
def test_no_private_metadata_or_wrapped_address_is_allowed(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), loopback=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "47.95.0.1", "2400:3200::1", "64:ff9b::808:808"])
def test_the_open_internet_is(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), loopback=False)


async def test_the_name_is_resolved_once_and_the_connection_goes_where_was_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the second answer would be this machine."""
    answers = [["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]]
    connected: list[str] = []

    async def resolve(_: object, host: str, port: int, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answers.pop(0)]

    async def connect(host: str, port: int, **options: Any) -> Any:
        connected.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    assert await _reason("https://rebinding.example.com/", loopback=False) == "unreachable"
    assert connected == ["8.8.8.8"]
    assert await _reason("https://rebinding.example.com/", loopback=False) == "address"
    answers.insert(0, ["8.8.8.8", "10.0.0.1"])
    assert await _reason("https://rebinding.example.com/", loopback=False) == "address", "one private one is enough"
    assert len(connected) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", "status"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "broken"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "broken"),
        (b"", "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, "size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n", "broken"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n{}", "size"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, "size"),
    ],
    ids=["redirect", "missing", "short", "packed", "ssh", "nothing", "large", "unfinished", "headers", "interim"],
)
async def test_whatever_else_is_answered_is_no_key_set(answer: bytes, reason: str) -> None:
    async with served(answer) as (port, seen):
        assert await _reason(f"http://127.0.0.1:{port}/") in {reason, "unreachable", "status"}
        assert len(seen) == 1


async def test_a_body_without_end_is_cut_off_and_one_without_a_length_is_read() -> None:
    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 16_384)
            await writer.drain()

    async with served(endless) as (port, _):
        assert await _reason(f"http://127.0.0.1:{port}/") == "size"
    async with served(b"HTTP/1.0 200 OK\r\n\r\n{}") as (port, _):
        assert await fetch(f"http://127.0.0.1:{port}/", 2, loopback=True) == b"{}"


async def test_one_time_limit_holds_for_all_of_it() -> None:
    async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with served(dripping) as (port, _):
        reason = await _reason(f"http://127.0.0.1:{port}/", 0.2)
        assert reason in {"timeout", "broken"}

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(silent) as (port, _):
        assert await _reason(f"http://127.0.0.1:{port}/", 0.2) == "timeout"
