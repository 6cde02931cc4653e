"""What every task of the official WebSocket SDK needs: callbacks that only collect, and an end that leaves nothing.

Why each of this is needed stands at the head of `sdk`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import socket
import threading
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from isikit.errors import DeadlineExceeded, SpeechError, SpeechTokenRefused, speech_error
from isikit.nls import authorities
from isikit.nls.gateway import away

SOCKET_SECONDS: Final = 5.0  # to connect, for the handshake, and for the rest of a message that has begun
SUCCESS: Final = 20000000
_REACH_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.05


class SdkTask:
    """One task: runs in a worker thread, hears the SDK's thread, can be cut off from the event loop.

    Parameters
    ----------
    url
        `ISI_NLS_WEBSOCKET`, ends in `/ws/v1`.
    loop
        On which `cut` is called.
    """

    CORE: ClassVar[str]
    """The private name under which the SDK's object keeps its connection."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self._url = url
        self._loop = loop
        self._heard = False
        self._completed = False
        self._failure: SpeechError | None = None
        self._finished = threading.Event()
        self._ended = False
        self._client: Any = None
        self._socket: Any = None

    def _judge(self, broken: str) -> None:
        """Raise what went wrong, unless the task was completed.

        Parameters
        ----------
        broken
            What a connection that broke after the first word left unfinished.
        """
        if self._failure is not None:
            raise self._failure
        if self._completed:
            return
        if not self._finished.is_set():
            raise DeadlineExceeded
        if self._heard:
            raise away("nls.connection_lost", broken)
        if not _answers(self._url):
            raise away("nls.unreachable", "No connection to the speech service.")
        raise SpeechTokenRefused(
            "The connection was closed before a word: a refused token most likely.", code="nls.closed_unexplained"
        )

    # Callbacks, on the SDK's thread. They take whatever arguments there are and never raise.

    def _on_sign_of_life(self, *_: object) -> None:
        self._heard = True
        self._remember_socket()

    def _on_completed(self, message: object = "", *_: object) -> None:
        status, text = status_of(message)
        if status == SUCCESS:
            self._completed = True
            self._finished.set()
        else:
            self._fail(speech_error(status, text))

    def _on_error(self, message: object = "", *_: object) -> None:
        self._remember_socket()
        self._fail(speech_error(*status_of(message)))

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
            self._client.shutdown()
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
        return getattr(self._client, self.CORE, None)


def status_of(message: object) -> tuple[int, str]:
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
def sdk() -> Any:
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
