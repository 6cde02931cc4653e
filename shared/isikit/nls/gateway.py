"""The speech service over HTTP: kept connections, whole bodies or none, errors in our words."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from isikit.errors import SpeechError, SpeechUnavailable, speech_error
from isikit.nls import authorities
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    import urllib3

    from isikit.host.context import Deadline

CONNECT_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 20.0  # a frozen instance wakes up with connections that the other end closed long ago
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes
    ----------
    media_type
        Content-Type in lower case without parameters; empty when there is none.
    """

    status: int
    media_type: str
    body: bytes = field(repr=False)

    def error(self) -> SpeechError:
        """What an answer that is not the wanted one means.

        The service's JSON names a status; it is an error whatever HTTP says (JSON errors have come with HTTP 200).
        """
        said = self.json()
        status = said.get("status")
        if isinstance(status, int):
            return speech_error(status, str(said.get("message", "")))
        if self.status != 200:
            return speech_error(self.status, self.body[:1000].decode("utf-8", "replace"))
        return SpeechError("The answer was neither a result nor an error.", code="nls.unproved")

    def json(self) -> dict[str, object]:
        """The body as a JSON object; empty when it is none."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = msgspec.json.decode(self.body)
            if isinstance(said, dict):
                return said
        return {}


class Gateway:
    """One REST base of the speech service.

    Parameters
    ----------
    base_url
        Without a trailing slash.
    concurrency
        Requests at once.
    name
        Of the threads.
    """

    def __init__(self, base_url: str, concurrency: int, name: str) -> None:
        self._base_url = base_url
        self._prefix = urlsplit(base_url).path.rstrip("/")
        self._threads = BoundedThreads(name, concurrency)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, _Line]] = []
        self._closed = False

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], deadline: Deadline, *, most_bytes: int
    ) -> Answer:
        """Send one request, once, and read its whole answer.

        Parameters
        ----------
        path
            With its query.
        most_bytes
            A longer body is no answer.

        Raises
        ------
        SpeechUnavailable
            `nls.unreachable`: no connection, nothing was sent. `nls.connection_lost`: it broke before the end of the
            answer, or the answer has no end that can be told from a break.
        Overloaded, DeadlineExceeded
        """
        request = _Request(self, "POST", self._prefix + path, body, headers, deadline, most_bytes)
        return await self._threads.run(request.send, deadline, request.cut)

    async def get(self, path: str, headers: Mapping[str, str], deadline: Deadline, *, most_bytes: int) -> Answer:
        """As `post`, without a body."""
        request = _Request(self, "GET", self._prefix + path, None, headers, deadline, most_bytes)
        return await self._threads.run(request.send, deadline, request.cut)

    async def close(self) -> None:
        """Close kept connections; requests under way end by themselves."""
        self._threads.close()
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for _, line in idle:
            line.pool.close()

    @contextlib.contextmanager
    def line(self) -> Iterator[_Line]:
        """The connection used last, if it was used lately, else a new one. After an error it is closed."""
        now = time.time()  # wall time: it goes on while an instance is frozen
        with self._lock:
            fresh = [(used, line) for used, line in self._idle if abs(now - used) <= IDLE_SECONDS]
            stale = [line for used, line in self._idle if abs(now - used) > IDLE_SECONDS]
            line = fresh.pop()[1] if fresh else None
            self._idle = fresh
        for old in stale:
            old.pool.close()
        if line is None:
            line = _Line(self._base_url)
        try:
            yield line
        except BaseException:
            line.pool.close()
            raise
        with self._lock:
            if not self._closed and not line.is_cut:
                self._idle.append((time.time(), line))
                return
        line.pool.close()


class _Line:
    """A urllib3 pool of one connection that can be cut off from another thread at any time."""

    def __init__(self, base_url: str) -> None:
        from urllib3 import connection_from_url

        trust = {"ssl_context": authorities.tls_context()} if base_url.startswith("https:") else {}
        self.pool = connection_from_url(base_url, maxsize=1, **trust)
        self.is_cut = False
        self.was_open = False
        """Whether a connection was made, its TLS agreed upon: from then on something may have been sent."""
        self._connection: Any = None
        make: Callable[..., Any] = self.pool.ConnectionCls

        def make_and_remember(**options: Any) -> Any:
            self._connection = connection = make(**options)
            connect = connection.connect

            def connect_unless_cut() -> None:
                self.was_open = False
                connect()
                self.was_open = True
                if self.is_cut:  # while there was no socket to cut yet; nothing has been written
                    raise _nobody_waits()

            connection.connect = connect_unless_cut
            return connection

        self.pool.ConnectionCls = make_and_remember  # type: ignore[assignment]

    def cut(self) -> None:
        """Let nothing more be written, and wake whoever reads. While it is being made, the connect timeout does."""
        self.is_cut = True
        raw = getattr(self._connection, "sock", None)
        if raw is not None:
            with contextlib.suppress(OSError, ValueError):
                socket.socket.shutdown(raw, socket.SHUT_RDWR)  # not ssl's own: it would pull TLS from under a reader


class _Request:
    """One request in its thread, and the way to cut it off from outside."""

    def __init__(
        self,
        gateway: Gateway,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: Deadline,
        most_bytes: int,
    ) -> None:
        self._gateway = gateway
        self._method, self._path, self._body = method, path, body
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._deadline, self._most_bytes = deadline, most_bytes
        self._lock = threading.Lock()  # of `_line` and `_response`: what is given back is never cut
        self._line: _Line | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._gone = False

    def send(self) -> Answer:
        from urllib3 import exceptions

        was_open = False
        try:
            with self._gateway.line() as line, self._held(line):
                try:
                    return self._exchange(line.pool)
                finally:
                    was_open = line.was_open
        except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
            raise away("nls.unreachable", "No connection to the speech service.") from error
        except exceptions.SSLError as error:
            if not was_open:
                raise away("nls.unreachable", "No connection to the speech service.") from error
            raise away("nls.connection_lost", "TLS broke before the answer was whole.") from error
        except exceptions.HTTPError as error:
            raise away("nls.connection_lost", "The connection broke before the answer was whole.") from error

    @contextlib.contextmanager
    def _held(self, line: _Line) -> Iterator[None]:
        """Within it, `cut` cuts the line; it ends before the line is given back and becomes another request's."""
        with self._lock:
            if self._gone:
                raise _nobody_waits()
            self._line = line
        try:
            yield
        finally:
            with self._lock:
                self._line = self._response = None

    def _exchange(self, pool: urllib3.HTTPConnectionPool) -> Answer:
        from urllib3 import Timeout

        self._deadline.check()
        seconds = max(self._deadline.remaining(), 0.05)
        response = pool.urlopen(
            self._method,
            self._path,
            body=self._body,
            headers=self._headers,
            retries=False,  # one layer tries again, and it is not this one
            redirect=False,  # it would carry the token elsewhere
            timeout=Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds),
            preload_content=False,
            decode_content=False,
        )
        self._response = response
        body = bytearray()
        for part in response.stream(_CHUNK, decode_content=False):
            body += part
            if len(body) > self._most_bytes:
                response.close()
                raise SpeechError("The answer is longer than it can be.", code="nls.unproved")
        ends = (
            response.headers.get("Transfer-Encoding", "").lower() == "chunked" or "Content-Length" in response.headers
        )
        if not ends:
            raise away("nls.connection_lost", "The answer has no end that can be told from a broken connection.")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(response.status, media_type, bytes(body))

    def cut(self) -> None:
        """End the wait for the answer: nobody is there to take it."""
        with self._lock:
            self._gone = True
            if self._line is not None:
                self._line.cut()
            if self._response is not None:  # it has taken the socket over when the service closes after the answer
                with contextlib.suppress(OSError, ValueError, RuntimeError):
                    self._response.shutdown()


def _nobody_waits() -> SpeechError:
    return away("nls.connection_lost", "Nobody waits for the answer any more.")


def away(code: str, detail: str) -> SpeechError:
    """A `SpeechUnavailable` to try again at once: a broken connection says nothing about the service's load."""
    error: SpeechError = SpeechUnavailable(detail, code=code)
    return _at_once(error)


def _at_once(error: SpeechError) -> SpeechError:
    error.retry_after = None
    return error
