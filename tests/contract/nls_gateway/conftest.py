"""A real server on a free port, the official SDK and plain HTTP as its clients."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import secrets
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import nls as sdk
import pytest
from aiohttp import web
from nls.exception import ConnectionUnavailable, NotStartException
from nls.websocket import WebSocketException

from localcloud import nls
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults

# What `send_audio` may raise once the service has closed the connection: it catches only one of them itself.
BROKEN = (OSError, WebSocketException, NotStartException, ConnectionUnavailable)


@dataclass
class Reply:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool = True

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class SdkRun:
    """What the official SDK reported."""

    names: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    @property
    def audio(self) -> bytes:
        return b"".join(self.frames)

    def callbacks(self, *names: str) -> dict[str, Callable[..., None]]:
        def note(name: str) -> Callable[..., None]:
            def heard(*args: Any) -> None:
                self.names.append(name)
                if args:
                    self.messages.append(json.loads(args[0]))

            return heard

        return {f"on_{name}": note(name) for name in names}


class Service:
    """The running service and everything a test does with it."""

    def __init__(self, port: int, app: web.Application, account: Account, faults: Faults, clock: Clock) -> None:
        self.port = port
        self.gateway = app[nls.GATEWAY]
        self.account = account
        self.faults = faults
        self.clock = clock
        self.appkey = account.add_project().appkey
        self.appkey_8k = account.add_project(sample_rate_hz=8000).appkey
        self.token = account.new_speech_token()[0]
        self.sdk_was_used = False

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/v1"

    def counter(self, name: str) -> int:
        return self.faults.counters().get(name, 0)

    async def http(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout: float = 20
    ) -> Reply:
        def call() -> Reply:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            try:
                connection.request(method, path, body or None, dict(headers or {}))
                answer = connection.getresponse()
                try:
                    data, complete = answer.read(), True
                except http.client.IncompleteRead as error:
                    data, complete = error.partial, False
                return Reply(answer.status, dict(answer.headers), data, complete)
            finally:
                connection.close()

        return await asyncio.to_thread(call)

    async def tts(self, text: str | None = "你好，世界。", timeout: float = 20, **more: Any) -> Reply:
        values = {"appkey": self.appkey, "token": self.token, "text": text} | more
        body = json.dumps({k: v for k, v in values.items() if v is not None}).encode()
        return await self.http("POST", "/stream/v1/tts", body, {"Content-Type": "application/json"}, timeout)

    async def asr(self, audio: bytes, token: str | None = None, **more: Any) -> Reply:
        query = urlencode({"appkey": self.appkey, "format": "pcm", "sample_rate": 16000} | more)
        headers = {"X-NLS-Token": token or self.token, "Content-Type": "application/octet-stream"}
        return await self.http("POST", f"/stream/v1/asr?{query}", audio, headers)

    async def sdk_speak(
        self, text: str = "你好，世界。", *, token: str = "", long: bool = False, **more: Any
    ) -> SdkRun:
        """Synthesise with the official SDK; what it reported until `start` returned and the socket closed."""
        run, self.sdk_was_used = SdkRun(), True

        def work() -> None:
            synthesizer = sdk.NlsSpeechSynthesizer(
                url=self.websocket,
                token=token or self.token,
                appkey=self.appkey,
                long_tts=long,
                on_data=lambda data, *_: run.frames.append(data),
                **run.callbacks("metainfo", "completed", "error", "close"),
            )
            synthesizer.start(text, **more)
            synthesizer.shutdown()

        await asyncio.to_thread(work)
        return run

    async def sdk_recognise(self, pcm: bytes, *, chunk: int = 3200, **more: Any) -> SdkRun:
        run, self.sdk_was_used = SdkRun(), True

        def work() -> None:
            recognizer = sdk.NlsSpeechRecognizer(
                url=self.websocket,
                token=self.token,
                appkey=self.appkey,
                **run.callbacks("start", "result_changed", "completed", "error", "close"),
            )
            recognizer.start(**more)
            try:
                for at in range(0, len(pcm), chunk):
                    recognizer.send_audio(pcm[at : at + chunk])
                recognizer.stop()  # sends too
            except BROKEN:
                run.names.append("broken")
            recognizer.shutdown()

        await asyncio.to_thread(work)
        return run

    async def sdk_transcribe(self, pcm: bytes, *, chunk: int = 3200, **more: Any) -> SdkRun:
        run, self.sdk_was_used = SdkRun(), True

        def work() -> None:
            transcriber = sdk.NlsSpeechTranscriber(
                url=self.websocket,
                token=self.token,
                appkey=self.appkey,
                **run.callbacks(
                    "start", "sentence_begin", "sentence_end", "result_changed", "completed", "error", "close"
                ),
            )
            transcriber.start(**more)
            try:
                for at in range(0, len(pcm), chunk):
                    transcriber.send_audio(pcm[at : at + chunk])
                transcriber.stop()  # sends too
            except BROKEN:
                run.names.append("broken")
            transcriber.shutdown()

        await asyncio.to_thread(work)
        return run

    async def said(self, *texts: str, rate_hz: int = 16000, silence_ms: int = 0) -> bytes:
        """Recorded speech, each utterance followed by silence."""
        engine = ToneEngine()
        options = {"voice": "xiaoyun", "rate_hz": rate_hz, "volume": 50, "speech_rate": 0, "pitch_rate": 0}
        parts = [await engine.speak(text, **options) for text in texts]  # type: ignore[arg-type]
        return b"".join(part + bytes(rate_hz * silence_ms // 1000 * 2) for part in parts)


class RawClient:
    """A WebSocket client that sends exactly what a test says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, appkey: str) -> None:
        self.socket = socket
        self.appkey = appkey
        self.task_id = secrets.token_hex(16)

    async def say(
        self, namespace: str, name: str, payload: Mapping[str, Any] | None = None, /, **header: Any
    ) -> dict[str, Any]:
        """Send a directive; `header` replaces parts of its header."""
        message: dict[str, Any] = {
            "header": {
                "message_id": secrets.token_hex(16),
                "task_id": self.task_id,
                "namespace": namespace,
                "name": name,
                "appkey": self.appkey,
            }
            | header,
        }
        if payload is not None:
            message["payload"] = dict(payload)
        await self.socket.send_str(json.dumps(message))
        return message

    async def hear(self) -> dict[str, Any] | bytes | None:
        """The next event, audio frame, or None when the connection is closed."""
        message = await self.socket.receive(timeout=10)
        if message.type is aiohttp.WSMsgType.TEXT:
            return json.loads(message.data)
        return message.data if message.type is aiohttp.WSMsgType.BINARY else None

    async def event(self) -> dict[str, Any]:
        heard = await self.hear()
        assert isinstance(heard, dict), heard
        return heard

    async def rest(self) -> list[dict[str, Any] | bytes]:
        """Everything up to the close."""
        heard = []
        while (item := await self.hear()) is not None:
            heard.append(item)
        return heard

    async def refusal(self) -> tuple[int, str]:
        """The status and text of TaskFailed, which must be the last word."""
        *_, last = await self.rest()
        assert isinstance(last, dict)
        assert last["header"]["name"] == "TaskFailed"
        assert last["header"]["namespace"] == "Default"
        return last["header"]["status"], last["header"]["status_text"]


Connect = Callable[[], Awaitable[RawClient]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow for the SDK's forgotten sockets, which are found at any later collection."""
    for item in items:
        if "nls_gateway" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    clock = Clock()
    account, faults = Account(clock), Faults()
    app = nls.make_app(account, ToneEngine(), faults, clock)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    running = Service(runner.addresses[0][1], app, account, faults, clock)
    yield running
    await runner.cleanup()
    if not running.sdk_was_used:
        return
    with warnings.catch_warnings():  # the SDK leaves its socket open when a handshake is refused
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
async def connect(service: Service) -> AsyncIterator[Connect]:
    async with aiohttp.ClientSession() as session:

        async def opened() -> RawClient:
            socket = await session.ws_connect(service.websocket, headers={"X-NLS-Token": service.token})
            return RawClient(socket, service.appkey)

        yield opened
