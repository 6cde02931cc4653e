"""What clients must not be able to do: hang the service, fill it, or hold a place of the quota by being slow."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import secrets
import struct

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.nls import websocket

DOORS = ["/stream/v1/tts", "/stream/v1/asr", "/stream/v1/FlashRecognizer"]


def frame(opcode: int, data: bytes, *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One client frame, also a forbidden one."""
    head = bytes(((0x80 if final else 0) | reserved | opcode,))
    mask = b"\x01\x02\x03\x04"
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes((bit | len(data),))
    elif len(data) < 1 << 16:
        head += bytes((bit | 126,)) + struct.pack(">H", len(data))
    else:
        head += bytes((bit | 127,)) + struct.pack(">Q", len(data))
    if masked:
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        head += mask
    return head + data


async def raw(service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket connection of bare bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    writer.write(
        f"GET /ws/v1?token={service.token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return reader, writer


@pytest.mark.parametrize(
    ("sent", "close_code"),
    [
        (frame(3, b"x"), 1002),
        (frame(1, b"x", reserved=0x40), 1002),
        (frame(9, b"x" * 126), 1002),
        (frame(0, b"x"), 1002),
        (frame(1, b"\xff\xfe"), 1007),
        (bytes((0x82, 0xFF)) + struct.pack(">Q", websocket.LARGEST_MESSAGE_BYTES + 1), 1009),
        (bytes((0x82, 0xFF)) + struct.pack(">Q", 1 << 40), 1009),
    ],
    ids=[
        "opcode 3",
        "compressed",
        "a long ping",
        "a lone continuation",
        "no UTF-8",
        "over the limit",
        "a terabyte",
    ],
)
async def test_a_malformed_frame_closes_the_connection_with_its_code(service, sent: bytes, close_code: int) -> None:
    reader, writer = await raw(service)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(4096), 5)
    assert answer[:1] == b"\x88"
    assert struct.unpack(">H", answer[2:4]) == (close_code,)
    writer.close()


NO_DIRECTIVES = ["", "x", "[]", "null", "7", '{"header":1}', '{"header":{}}', "[" * 200_000, '"\\ud800"']


@pytest.mark.parametrize("text", NO_DIRECTIVES)
async def test_text_that_is_no_directive_is_told_so(connect, text: str) -> None:
    client = await connect()
    await client.socket.send_str(text)
    assert (await client.refusal())[0] == 40000002


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
HEADER = st.fixed_dictionaries(
    {},
    optional={
        "message_id": st.just("a" * 32) | JSON,
        "task_id": st.just("b" * 32) | JSON,
        "namespace": st.sampled_from(["SpeechSynthesizer", "SpeechRecognizer", "SpeechTranscriber"]) | JSON,
        "name": st.sampled_from(["StartSynthesis", "StartRecognition", "StopTranscription"]) | JSON,
        "appkey": st.just("APPKEY") | JSON,
    },
)
PAYLOAD = st.dictionaries(
    st.sampled_from(["text", "voice", "format", "sample_rate", "volume", "speech_rate", "max_end_silence"]), JSON
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.fixed_dictionaries({"header": HEADER | JSON}, optional={"payload": PAYLOAD | JSON}))
async def test_any_json_gets_an_answer_in_the_services_words(service, connect, message) -> None:
    if isinstance(message["header"], dict) and message["header"].get("appkey") == "APPKEY":
        message["header"]["appkey"] = service.appkey
    client = await connect()
    await client.socket.send_str(json.dumps(message))
    answer = await client.event()
    assert answer["header"]["status"] in (20000000, *range(40000000, 42000000))
    await client.socket.close()


@pytest.mark.parametrize("path", DOORS)
async def test_a_body_that_stops_coming_is_given_up(service, path: str) -> None:
    service.gateway.limits.client_seconds = 0.2
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    query = f"?appkey={service.appkey}&token={service.token}&format={'wav' if 'Flash' in path else 'pcm'}"
    writer.write(f"POST {path}{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
    answer = await asyncio.wait_for(reader.read(4096), 5)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"status":40000000' in answer
    writer.close()
    assert service.gateway.quotas.busy("flash") == service.gateway.quotas.busy("sentence_asr") == 0


@pytest.mark.parametrize("path", DOORS[:2])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_huge_body_is_refused_in_the_services_json(service, path: str, chunked: bool) -> None:
    async def body():
        for _ in range(17):
            yield bytes(1024 * 1024)

    url = f"http://127.0.0.1:{service.port}{path}?appkey={service.appkey}&format=pcm"
    data = body() if chunked else io.BytesIO(bytes(17 * 1024 * 1024))
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=data, headers={"X-NLS-Token": service.token}) as answer,
    ):
        assert (answer.status, (await answer.json())["status"]) == (413, 40000000)


async def test_deep_json_is_a_client_error(service) -> None:
    reply = await service.http("POST", "/stream/v1/tts", b"[" * 200_000, {"Content-Type": "application/json"})
    assert reply.json["status"] == 40000000


async def until_free(service, name: str) -> None:
    async with asyncio.timeout(10):
        while service.gateway.quotas.busy(name):  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.01)


async def test_a_client_that_does_not_read_its_audio_loses_its_place(service) -> None:
    service.gateway.limits.client_seconds = 0.3
    _, writer = await raw(service)
    writer.transport.pause_reading()
    header = {"message_id": "a" * 32, "task_id": "b" * 32, "namespace": "SpeechLongSynthesizer"}
    header |= {"name": "StartSynthesis", "appkey": service.appkey}
    message = {"header": header, "payload": {"text": "字" * 3000, "sample_rate": 16000, "speech_rate": -500}}
    writer.write(frame(1, json.dumps(message).encode()))
    async with asyncio.timeout(10):
        while not service.gateway.quotas.busy("long_tts"):  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.01)
    await until_free(service, "long_tts")
    assert service.counter("nls.synthesis") == 1
    writer.close()


async def test_a_client_that_leaves_in_the_middle_gives_its_place_back(service) -> None:
    service.faults.arm(operation="nls.tts.rest", action="never_complete")
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    body = json.dumps({"appkey": service.appkey, "token": service.token, "text": "hello"})
    writer.write(f"POST /stream/v1/tts HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()
    await until_free(service, "tts")


async def test_two_services_in_one_process_know_nothing_of_each_other(service) -> None:
    from aiohttp import web

    from localcloud import nls
    from localcloud.account import Account
    from localcloud.clock import Clock
    from localcloud.engines.tone import ToneEngine
    from localcloud.faults import Faults

    other = nls.make_app(Account(clock := Clock()), ToneEngine(), Faults(), clock)
    runner = web.AppRunner(other, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/stream/v1/tts"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, params={"appkey": service.appkey, "token": service.token, "text": "x"}) as answer,
    ):
        assert (await answer.json())["status"] == 40000001
    await runner.cleanup()
    assert (await service.tts()).status == 200
