"""Who gets in, and what the door looks like."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets

import aiohttp
import pytest

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def shake(port: int, query: str = "", headers: str = "") -> tuple[str, str]:
    """The raw answer to a handshake with doubled key and version headers, and the key that must be answered."""
    first = base64.b64encode(secrets.token_bytes(16)).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /ws/v1{query} HTTP/1.1\r\nUpgrade: websocket\r\nHost: 127.0.0.1:{port}\r\n"
        f"Sec-WebSocket-Key: {first}\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(4096), 10)
    writer.close()
    return answer.decode(), first


async def test_the_first_of_two_keys_is_answered(service) -> None:
    answer, first = await shake(service.port, headers=f"X-NLS-Token: {service.token}\r\n")
    assert answer.startswith("HTTP/1.1 101 ")
    accept = base64.b64encode(hashlib.sha1((first + GUID).encode()).digest()).decode()
    assert f"sec-websocket-accept: {accept.lower()}" in answer.lower()
    assert "\r\nServer: Tengine\r\n" in answer
    assert "sec-websocket-extensions" not in answer.lower()


async def test_the_token_may_stand_in_the_query(service) -> None:
    answer, _ = await shake(service.port, f"?token={service.token}")
    assert answer.startswith("HTTP/1.1 101 ")


async def test_a_bad_token_is_403_in_plain_text_as_recorded(service) -> None:
    answer, _ = await shake(service.port, headers="X-NLS-Token: 12345ffdsfdfvdfcdfcdc\r\n")
    head, body = answer.split("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403 Forbidden\r\n")
    assert body == "Meta:ACCESS_DENIED:The token '12345ffdsfdfvdfcdfcdc' is invalid!"
    assert "Content-Length: 64" in head
    assert "Server: Tengine" in head
    assert "content-type" not in head.lower()


async def test_a_token_ends_with_its_expiry(service) -> None:
    token, _ = service.account.new_speech_token(60)
    assert (await shake(service.port, f"?token={token}"))[0].startswith("HTTP/1.1 101")
    service.clock.move(61)
    answer, _ = await shake(service.port, f"?token={token}")
    assert answer.startswith("HTTP/1.1 403")
    assert f"The token '{token}' has expired!" in answer


async def test_no_token_is_refused(service) -> None:
    assert "Missing authorization header!" in (await shake(service.port))[0]


async def test_the_sdk_hears_nothing_of_a_bad_token_but_the_close(service) -> None:
    run = await service.sdk_speak(token="bad")
    assert set(run.names) == {"close"}
    assert service.counter("nls.synthesis") == 0


async def test_a_handshake_can_be_refused_once(service) -> None:
    service.faults.arm(operation="nls.tts.ws", action="handshake_403")
    assert "completed" not in (await service.sdk_speak()).names
    assert "completed" in (await service.sdk_speak()).names
    assert service.counter("nls.tts.ws") == 1


async def test_a_handshake_can_be_delayed(service) -> None:
    service.faults.arm(operation="nls.asr.ws", action="handshake_delay", seconds=0.3)
    started = asyncio.get_running_loop().time()
    await service.sdk_speak()
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_a_ping_is_answered_at_once(service) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{service.websocket}?token={service.token}", autoping=False) as socket,
    ):
        await socket.ping(b"hello")
        message = await socket.receive(timeout=1)
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"hello")


async def test_a_close_is_answered_at_once(service, connect) -> None:
    client = await connect()
    started = asyncio.get_running_loop().time()
    assert await client.socket.close()
    assert client.socket.close_code == 1000
    assert asyncio.get_running_loop().time() - started < 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/stream/v1/FlashRecognizer"),
        ("POST", "/rest/v1/tts/async"),
        ("GET", "/"),
        ("GET", "/stream/v1/asr"),
        ("DELETE", "/stream/v1/tts"),
    ],
)
async def test_what_is_not_there_is_404_in_the_services_own_words(service, method: str, path: str) -> None:
    reply = await service.http(method, path)
    assert reply.status == 404
    assert reply.json["status"] == 40010001
    assert reply.json["message"] == "Gateway:NAMESPACE_NOT_FOUND:RESTful url path illegal!"
    assert list(reply.json) == ["task_id", "result", "status", "message"]
    assert reply.headers["X-NLS-RequestId"] == reply.json["task_id"]
