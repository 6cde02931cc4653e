"""Both transports over TLS on loopback: certificates and names are verified, and the list is read once."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3.connection
from aiohttp import web

from contract.nls.conftest import TEXT, Service
from isikit.errors import SpeechError
from isikit.host.context import Deadline
from isikit.nls import authorities
from isikit.nls.gateway import Gateway
from isikit.nls.rest import RestSpeaker
from isikit.nls.sdk import SdkSpeaker
from isikit.nls.synthesis import Speaker
from localcloud.nls import make_app
from support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that is trusted, by the variable that OpenSSL knows too."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    monkeypatch.setattr(authorities, "_contexts", {})
    return made


@asynccontextmanager
async def over_tls(service: Service, transport: str, tls: ssl.SSLContext) -> AsyncIterator[Speaker]:
    app = make_app(service.account, service.engine, service.faults, service.clock, limits=service.limits)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    speaker: Speaker = (
        RestSpeaker(f"https://{host}", 4) if transport == "rest" else SdkSpeaker(f"wss://{host}/ws/v1", 4)
    )
    try:
        yield speaker
    finally:
        await speaker.close()
        await runner.cleanup()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()  # the SDK leaves the socket of a handshake it broke off to the garbage collector


async def test_speech_comes_over_tls(
    service: Service, transport: str, authority: Authority, deadline: Deadline
) -> None:
    async with over_tls(service, transport, authority.server()) as speaker:
        for _ in range(2):
            pcm = await speaker.speak(service.utterance(), service.token(), deadline)
            assert await service.engine.recognise(pcm.samples, 16000) == TEXT


async def test_a_certificate_of_an_unknown_authority_is_refused(
    service: Service, transport: str, authority: Authority, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with over_tls(service, transport, authority.server()) as speaker:
        with pytest.raises(SpeechError):
            await speaker.speak(service.utterance(), service.token(), deadline)
    assert service.count("nls.synthesis") == 0


async def test_a_certificate_of_another_host_is_refused(
    service: Service, transport: str, authority: Authority, deadline: Deadline
) -> None:
    async with over_tls(service, transport, authority.server("speech.example.com")) as speaker:
        with pytest.raises(SpeechError):
            await speaker.speak(service.utterance(), service.token(), deadline)
    assert service.count("nls.synthesis") == 0


async def test_many_connections_read_the_list_of_authorities_once(
    service: Service, authority: Authority, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    create = ssl.create_default_context

    def counted(*args: object, **kwargs: object) -> object:
        made.append(args)
        return create(cafile=str(authority.file))

    tls = authority.server()
    monkeypatch.setattr(ssl, "create_default_context", counted)
    monkeypatch.setattr(urllib3.connection, "create_urllib3_context", counted)
    async with over_tls(service, "rest", tls) as speaker:
        await asyncio.gather(
            *(speaker.speak(service.utterance(), service.token(), deadline) for _ in range(4)),
        )
    assert len(made) == 1


def test_without_a_variable_the_list_is_certifis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert authorities.bundle().endswith("certifi/cacert.pem")


async def test_what_is_given_up_during_the_handshake_is_never_sent(service: Service, authority: Authority) -> None:
    tls = authority.server()
    greeted, go = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> bytes:
        raw, _ = listener.accept()
        raw.settimeout(10)
        raw.recv(1, socket.MSG_PEEK)  # the client has begun the handshake, and waits for our part of it
        greeted.set()
        go.wait(10)
        with tls.wrap_socket(raw, server_side=True) as secured:
            return secured.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = asyncio.get_running_loop().run_in_executor(None, serve, listener)
        speaker = RestSpeaker(f"https://127.0.0.1:{listener.getsockname()[1]}", 1)
        task = asyncio.create_task(speaker.speak(service.utterance(), service.token(), Deadline.after(60)))
        await asyncio.to_thread(greeted.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert await heard == b""
        await speaker.close()


@pytest.mark.parametrize(
    ("system", "lent"),
    [
        (SimpleNamespace(cafile=None, capath=None), True),
        (SimpleNamespace(cafile=None, capath="EMPTY"), True),
        (SimpleNamespace(cafile="/etc/ssl/cert.pem", capath=None), False),
        (SimpleNamespace(cafile=None, capath="FULL"), False),
    ],
)
def test_the_sdk_gets_our_list_only_where_the_system_has_none(
    system: SimpleNamespace, lent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system.capath == "FULL":
        (tmp_path / "authority.pem").touch()
    if system.capath is not None:
        system = SimpleNamespace(cafile=None, capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: system)
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", "")
    monkeypatch.delenv("WEBSOCKET_CLIENT_CA_BUNDLE")
    authorities.lend_to_sdk()
    assert os.environ.get("WEBSOCKET_CLIENT_CA_BUNDLE") == (authorities.bundle() if lent else None)


async def test_tls_that_breaks_after_the_request_is_no_sign_that_nothing_was_sent(
    authority: Authority, deadline: Deadline
) -> None:
    """Or a recording would be submitted, and paid, a second time."""
    received = b""

    def answer_with_garbage(listening: socket.socket, tls: ssl.SSLContext) -> None:
        nonlocal received
        raw, _ = listening.accept()
        with tls.wrap_socket(raw, server_side=True) as secure:
            received = secure.recv(65_536)
            with socket.socket(fileno=secure.detach()) as plain:
                plain.sendall(b"this is no record of TLS")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        gateway = Gateway(f"https://127.0.0.1:{listening.getsockname()[1]}", 1, "test")
        serving = asyncio.ensure_future(asyncio.to_thread(answer_with_garbage, listening, authority.server()))
        with pytest.raises(SpeechError) as caught:
            await gateway.post("/", b"body", {}, deadline, most_bytes=1024)
        await serving
        await gateway.close()
    assert received.startswith(b"POST / HTTP/1.1")
    assert caught.value.code == "nls.connection_lost"
