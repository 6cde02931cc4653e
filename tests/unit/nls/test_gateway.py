"""HTTP as it really breaks: cut chunks, bodies without an end, JSON with status 200, stale connections, redirects."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from urllib3.util import connection

from isikit.errors import IsiError, SpeechBusy, SpeechError, SpeechTokenRefused, SpeechUnavailable
from isikit.host.context import Deadline
from isikit.nls import gateway
from isikit.nls.rest import RestSpeaker
from isikit.nls.synthesis import Utterance
from isikit.nls.token import SpeechToken

TOKEN = SpeechToken("f" * 32, time.time() + 3600)
UTTERANCE = Utterance("One moment, please.", False, "xiaoyun", 8000, 50, 0, 0, "appkey")
AUDIO = b"\x10\x00" * 8000
OK = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Server:
    """Answers every request with the next of its answers; `None` keeps the connection, bytes close it if asked."""

    def __init__(self, *answers: bytes, keep: bool = False) -> None:
        self.answers, self.keep = list(answers), keep
        self.connections = 0
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if not self.keep:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def speaking_to(server: Callable[..., Awaitable[None]]) -> AsyncIterator[RestSpeaker]:
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listener:
        speaker = RestSpeaker(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", 2)
        try:
            yield speaker
        finally:
            await speaker.close()


async def failure(*answers: bytes) -> IsiError:
    async with speaking_to(Server(*answers)) as speaker:
        with pytest.raises(IsiError) as caught:
            await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
        return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + chunk(AUDIO[:9000]) + chunk(AUDIO[9000:]) + b"0\r\n\r\n",
        OK + b"Content-Length: %d\r\n\r\n" % len(AUDIO) + AUDIO,
    ],
)
async def test_a_whole_body_is_audio(answer: bytes) -> None:
    server = Server(answer)
    async with speaking_to(server) as speaker:
        assert (await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))).samples == AUDIO
    assert b"x-nls-token: " + b"f" * 32 in server.requests[0].lower()
    assert b'"format":"pcm","sample_rate":8000' in server.requests[0]


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED,
        CHUNKED + chunk(AUDIO),
        CHUNKED + chunk(AUDIO)[:-2],
        CHUNKED + chunk(AUDIO)[:-4000],
        CHUNKED + chunk(AUDIO) + b"zz\r\n",
        OK + b"Content-Length: %d\r\n\r\n" % len(AUDIO) + AUDIO[:-2],
        OK + b"\r\n" + AUDIO,
        b"",
        b"HTTP/1.1 200",
        b"220 smtp.example.com\r\n",
    ],
)
async def test_a_body_that_does_not_end_cleanly_is_a_failure(answer: bytes) -> None:
    error = await failure(answer)
    assert (type(error), error.code, error.retryable) == (SpeechUnavailable, "nls.connection_lost", True)


def said(http: bytes, media_type: bytes, body: bytes) -> bytes:
    content_type = b"Content-Type: " + media_type + b"\r\n" if media_type else b""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (http, content_type, len(body), body)


BUSY = b'{"task_id":"0","result":"","status":40000005,"message":"Gateway:TOO_MANY_REQUESTS:Too many requests!"}'
DENIED = b'{"task_id":"0","result":"","status":40000001,"message":"Meta:ACCESS_DENIED:The token \'ffff\' is invalid!"}'


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (said(b"200 OK", b"application/json", BUSY), SpeechBusy, "nls.too_many_requests"),
        (said(b"200 OK", b"", BUSY), SpeechBusy, "nls.too_many_requests"),
        (said(b"400 Bad Request", b"application/json;charset=UTF-8", DENIED), SpeechTokenRefused, "nls.token_invalid"),
        (
            said(b"403 Forbidden", b"", b"Meta:ACCESS_DENIED:The token 'ffff' is invalid!"),
            SpeechTokenRefused,
            "nls.token_invalid",
        ),
        (said(b"502 Bad Gateway", b"text/html", b"<html>"), SpeechUnavailable, "nls.server_error"),
        (said(b"500 Oops", b"audio/mpeg", AUDIO), SpeechUnavailable, "nls.server_error"),
        (said(b"200 OK", b"text/html", b"<html>a portal</html>"), SpeechError, "nls.unproved"),
        (said(b"200 OK", b"application/json", b'{"status":20000000,"message":"SUCCESS"}'), SpeechError, "nls.unproved"),
        (said(b"302 Found\r\nLocation: http://127.0.0.1:1/", b"", b""), SpeechError, "nls.refused"),
        (said(b"200 OK", b"audio/mpeg", AUDIO[:-1]), SpeechError, "nls.truncated"),
        (said(b"200 OK", b"audio/mpeg", b""), SpeechError, "nls.truncated"),
        (said(b"200 OK", b"audio/mpeg", AUDIO * 100), SpeechError, "nls.unproved"),
    ],
    ids=lambda value: value[:60].decode() if isinstance(value, bytes) else None,
)
async def test_errors_are_told_by_type_and_body(answer: bytes, kind: type[IsiError], code: str) -> None:
    error = await failure(answer)
    assert (type(error), error.code) == (kind, code)
    assert "ffff" not in str(error)


async def test_one_connection_serves_many_calls() -> None:
    server = Server(*[CHUNKED + chunk(AUDIO) + b"0\r\n\r\n"] * 5, keep=True)
    async with speaking_to(server) as speaker:
        for _ in range(5):
            await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
    assert server.connections == 1


async def test_an_error_leaves_the_connection_usable() -> None:
    server = Server(
        said(b"400 Bad Request", b"application/json", BUSY), CHUNKED + chunk(AUDIO) + b"0\r\n\r\n", keep=True
    )
    async with speaking_to(server) as speaker:
        with pytest.raises(SpeechBusy):
            await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
    assert server.connections == 1


async def test_a_connection_that_was_idle_too_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(*[CHUNKED + chunk(AUDIO) + b"0\r\n\r\n"] * 2, keep=True)
    async with speaking_to(server) as speaker:
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
        monkeypatch.setattr(gateway, "IDLE_SECONDS", -1.0)
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
    assert server.connections == 2


async def test_a_connection_that_the_server_closed_is_opened_anew() -> None:
    server = Server(*[CHUNKED + chunk(AUDIO) + b"0\r\n\r\n"] * 2)
    async with speaking_to(server) as speaker:
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
    assert server.connections == 2


async def test_what_is_given_up_while_it_connects_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    connecting, go, done = threading.Event(), threading.Event(), asyncio.Event()
    create_connection = connection.create_connection

    def slowly(*args: Any, **kwargs: Any) -> Any:
        connecting.set()
        go.wait(10)
        return create_connection(*args, **kwargs)

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()
        done.set()

    monkeypatch.setattr(connection, "create_connection", slowly)
    async with speaking_to(server) as speaker:
        task = asyncio.create_task(speaker.speak(UTTERANCE, TOKEN, Deadline.after(2)))
        await asyncio.to_thread(connecting.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await asyncio.wait_for(done.wait(), 10)
    assert heard == [b""]


async def test_a_line_that_was_given_back_is_not_cut_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first request's caller goes just when its line is back among the idle ones: the second request has it by then.
    server = Server(*[CHUNKED + chunk(AUDIO) + b"0\r\n\r\n"] * 2, keep=True)
    requests: list[Any] = []
    begin = gateway._Request.__init__
    line = gateway.Gateway.line

    def remember(self: Any, *args: Any) -> None:
        begin(self, *args)
        requests.append(self)

    @contextmanager
    def lines(self: Any) -> Iterator[Any]:
        with line(self) as one:
            yield one
        requests[0].cut()

    monkeypatch.setattr(gateway._Request, "__init__", remember)
    monkeypatch.setattr(gateway.Gateway, "line", lines)
    async with speaking_to(server) as speaker:
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
        await speaker.speak(UTTERANCE, TOKEN, Deadline.after(5))
    assert server.connections == 1, "the first request's cut closed the second one's connection"
