"""Synthesis by the official WebSocket SDK (alibabacloud-nls-python-sdk 1.0.2), unmodified and never believed.

What was measured of it, and what follows (`docs/facts/speech-service.md`):

- `start()` returns normally after a 403, a refused connection, a dropped socket and a TaskFailed. So only its callbacks
  count: success is `on_completed`, no `on_error`, and audio that passes the proof.
- After a 403 or a failed connection `on_error` is never called, only `on_close`, without a reason. So a connection that
  closes before a word came is taken for a refused token, unless the address does not answer at all.
- It waits 10 s for a connection whatever it is told, and when the server answers later it still sends the text, which
  is billed. It never sets a socket timeout, and after a TaskFailed it never closes. So its socket gets a timeout, and
  is cut off from outside when we are done with it; its thread is waited for.
- After the server's close frame it never closes its socket either, and a socket closed under its `select` blocks its
  thread for 10 s. So the socket is shut down first, and closed when the thread has ended.
- An exception in a callback tears the connection down in silence. So callbacks only collect.
- An object serves one synthesis only.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from isikit.errors import DeadlineExceeded, SpeechError, SpeechTokenRefused, speech_error
from isikit.nls import authorities
from isikit.nls.gateway import away
from isikit.nls.proof import most_bytes, prove
from isikit.nls.synthesis import Pcm, check
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.synthesis import Utterance
    from isikit.nls.token import SpeechToken

SOCKET_SECONDS: Final = 5.0  # to connect, for the handshake, and for the rest of a message that has begun
_REACH_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.05
_SUCCESS: Final = 20000000


class SdkSpeaker:
    """`Speaker` over one WebSocket connection and one SDK thread a synthesis (5.1 ms a call on loopback).

    Parameters
    ----------
    url
        `ISI_NLS_WEBSOCKET`, ends in `/ws/v1`.
    concurrency
        Syntheses at once, `ISI_NLS_CONCURRENCY`.
    """

    def __init__(self, url: str, concurrency: int) -> None:
        self._url = url
        self._threads = BoundedThreads("speech-sdk", concurrency)

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """See `Speaker.speak`."""
        check(utterance)
        task = _Task(self._url, utterance, token, deadline, asyncio.get_running_loop())
        pcm = await self._threads.run(task.run, deadline, task.cut)
        prove(utterance, pcm)
        return pcm

    async def close(self) -> None:
        """Take no more work; every connection closes with its synthesis."""
        self._threads.close()


class _Task:
    """One synthesis: runs in a worker thread, hears the SDK's thread, can be cut off from the event loop."""

    def __init__(
        self,
        url: str,
        utterance: Utterance,
        token: SpeechToken,
        deadline: Deadline,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._url, self._utterance, self._token, self._deadline = url, utterance, token, deadline
        self._loop = loop
        self._most_bytes = most_bytes(utterance)
        self._audio = bytearray()
        self._heard = False
        self._completed = False
        self._failure: SpeechError | None = None
        self._finished = threading.Event()
        self._ended = False
        self._synthesizer: Any = None
        self._socket: Any = None

    def run(self) -> Pcm:
        """Speak and judge what was heard."""
        sdk = _sdk()
        utterance = self._utterance
        self._synthesizer = sdk.NlsSpeechSynthesizer(
            url=self._url,
            token=self._token.id,
            appkey=utterance.appkey,
            on_metainfo=self._on_metainfo,
            on_data=self._on_data,
            on_completed=self._on_completed,
            on_error=self._on_error,
            on_close=self._on_close,
        )
        try:
            self._deadline.check()
            self._synthesizer.start(
                utterance.text,
                voice=utterance.voice,
                aformat="pcm",
                sample_rate=utterance.sample_rate_hz,
                volume=utterance.volume,
                speech_rate=utterance.speech_rate,
                pitch_rate=utterance.pitch_rate,
                wait_complete=False,
                start_timeout=max(self._deadline.remaining(), 0.05),
            )
            self._remember_socket()
            self._finished.wait(self._deadline.remaining())
        except (sdk.exception.ConnectionTimeout, sdk.exception.StartTimeoutException) as error:
            raise away("nls.unreachable", "The speech service did not answer the connection.") from error
        finally:
            self._end()
        return self._verdict()

    def _verdict(self) -> Pcm:
        if self._failure is not None:
            raise self._failure
        if self._completed:
            return Pcm(bytes(self._audio), self._utterance.sample_rate_hz)
        if not self._finished.is_set():
            raise DeadlineExceeded
        if self._heard:
            raise away("nls.connection_lost", "The connection broke before the audio was whole.")
        if not _answers(self._url):
            raise away("nls.unreachable", "No connection to the speech service.")
        raise SpeechTokenRefused(
            "The connection was closed before a word: a refused token most likely.", code="nls.closed_unexplained"
        )

    # Callbacks, on the SDK's thread. They take whatever arguments there are and never raise.

    def _on_metainfo(self, *_: object) -> None:
        self._heard = True
        self._remember_socket()

    def _on_data(self, data: object = b"", *_: object) -> None:
        self._heard = True
        self._remember_socket()
        if isinstance(data, (bytes, bytearray)):
            self._audio += data
        if len(self._audio) > self._most_bytes:
            self._fail(SpeechError("The answer is longer than it can be.", code="nls.unproved"))

    def _on_completed(self, message: object = "", *_: object) -> None:
        status, text = _status(message)
        if status == _SUCCESS:
            self._completed = True
            self._finished.set()
        else:
            self._fail(speech_error(status, text))

    def _on_error(self, message: object = "", *_: object) -> None:
        self._remember_socket()
        self._fail(speech_error(*_status(message)))

    def _on_close(self, *_: object) -> None:
        self._finished.set()

    def _fail(self, failure: SpeechError) -> None:
        if self._failure is None:
            self._failure = failure
        self._finished.set()

    # Ending. The SDK keeps its connection and its thread to itself: these are its private names, in the one version
    # that is locked; a contract test fails when they change.

    def _end(self) -> None:
        """Leave no connection and no thread behind, however it went."""
        self._ended = True
        thread = getattr(self._core(), "_NlsCore__th", None)
        if thread is None:
            return
        if self._completed and self._failure is None:
            thread.join(SOCKET_SECONDS)  # it has closed the connection already and is on its way out
        if thread.is_alive():
            self._cut_socket()
            thread.join(2 * SOCKET_SECONDS)  # closing before it ends would take the socket from under its select: 10 s
        with contextlib.suppress(Exception):  # whatever the SDK thinks of closing what is closed
            self._synthesizer.shutdown()
        if self._socket is not None:
            self._socket.close()  # after the server's close frame the SDK leaves it open for the garbage collector

    def cut(self) -> None:
        """The deadline has passed: let nothing more be sent or received. Comes back until there is a socket to cut."""
        self._finished.set()
        if not self._cut_socket() and not self._ended:
            self._loop.call_later(_AGAIN_SECONDS, self.cut)

    def _cut_socket(self) -> bool:
        self._remember_socket()
        if self._socket is None:
            return False
        self._core()._NlsCore__ws.keep_running = False
        with contextlib.suppress(OSError, ValueError):
            # Wakes the SDK's thread; closing alone would not, and ssl's own shutdown would pull TLS from under it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        return True

    def _remember_socket(self) -> None:
        if self._socket is not None:
            return
        app = getattr(self._core(), "_NlsCore__ws", None)
        raw = getattr(getattr(app, "sock", None), "sock", None)
        if raw is not None:
            self._socket = raw

    def _core(self) -> Any:
        return getattr(self._synthesizer, "_NlsSpeechSynthesizer__nls", None)


def _status(message: object) -> tuple[int, str]:
    """Status and text of an event; (0, "") for what cannot be read."""
    try:
        header = json.loads(message)["header"]  # type: ignore[arg-type]
        return int(header["status"]), str(header.get("status_text", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0, ""


def _answers(url: str) -> bool:
    """Whether anybody listens at an address. Else every request during an outage would ask for a new token too."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), _REACH_SECONDS).close()
    except OSError:
        return False
    return True


@functools.cache
def _sdk() -> Any:
    """Import the SDK, give its sockets a timeout and somebody to trust, and keep its loggers quiet.

    At DEBUG it logs texts and AppKeys, at ERROR whole messages it cannot parse and every SynthesisStarted; its
    `websocket` logger gets a handler of its own on stderr with every connection. What happened is told by callbacks.
    """
    import nls
    import nls.exception
    import nls.websocket

    authorities.lend_to_sdk()
    nls.websocket.setdefaulttimeout(SOCKET_SECONDS)
    for name in ("nls", "websocket"):
        logging.getLogger(name).addFilter(_nothing)
    return nls


def _nothing(record: logging.LogRecord) -> bool:
    return False
