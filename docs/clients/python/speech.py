"""Reference client in Python: leases speech tokens, renews them in time, and turns streamed audio into text.

Needs `websocket-client` and nothing else. Command line: `python speech.py https://.../v1/token call.wav`, with the API
key in the variable SPEECH_API_KEY. Protocol: Alibaba Cloud, "Intelligent Speech Interaction: WebSocket protocol
description".

The official SDK is not used here: its `start()` returns normally after a refused token and after a lost connection
(github aliyun/alibabacloud-nls-python-sdk, `nls/core.py`), and streaming needs to know of both.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
import wave
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import websocket

SAFETY_SECONDS = 30.0  # a lease with less life than this is not begun with
LONGEST_WAIT_SECONDS = 60.0  # a quota that lasts until tomorrow is not waited for
AHEAD_SECONDS = 0.3  # audio may run ahead of the clock by so much; the service refuses what comes too fast
REPLAYED_SECONDS = 90.0  # kept for a new connection; the service ends a sentence after 60 s
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
TOKEN_REFUSED = 40000001
TOO_MANY = 40000005


class SpeechError(Exception):
    """What went wrong.

    Parameters
    ----------
    code
        The problem's code, the speech service's status, or a word.
    retryable
        Whether trying again may help.
    retry_after
        Seconds to wait before, when the service said so.
    """

    def __init__(self, code: str | int, *, retryable: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(f"speech: {code}")  # never the service's own text: that of a refused token repeats it
        self.code, self.retryable, self.retry_after = code, retryable, retry_after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the API key along, to any host and also by plain http."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _clocks() -> tuple[float, float]:
    return time.time(), time.monotonic()


class Leases:
    """Leases of one use, renewed at the moment the service named. Safe to use from threads; one asks for all.

    Parameters
    ----------
    url
        `https://.../v1/token`.
    headers
        Who is asking, for example `{"X-Api-Key": "id.secret"}`.
    wish
        `use`, `locale`, `sample_rate_hz`.
    attempts
        How often one lease is asked for.
    """

    def __init__(
        self, url: str, headers: dict[str, str], wish: dict[str, Any] | None = None, *, attempts: int = 4
    ) -> None:
        self._url, self._headers, self._attempts = url, headers, attempts
        self._wish = wish or {"use": "realtime_asr"}
        self._lock = threading.Lock()
        self._lease: dict[str, Any] | None = None
        self._asked_at = (0.0, 0.0)

    def get(self) -> dict[str, Any]:
        """A lease that may be used now. While the old one lives, a failed renewal is no failure."""
        with self._lock:
            held = self._lease
            # By this clock and the answer's own spans: the clocks of clients are wrong more often than not.
            # The wall clock may be set back, the other stands still while a machine sleeps: the larger age counts.
            age = max(now - then for now, then in zip(_clocks(), self._asked_at, strict=True))
            if held is not None and age < held["refresh_in"]:
                return held
            try:
                self._asked_at, self._lease = _clocks(), self._ask()
            except SpeechError as error:
                if held is None or not error.retryable or age > held["expires_in"] - SAFETY_SECONDS:
                    raise
                return held
            return self._lease

    def drop(self, token: str) -> None:
        """The speech gateway refused this token: ask for another lease before the next use."""
        with self._lock:
            if self._lease is not None and self._lease["token"] == token:
                self._lease = None

    def _ask(self) -> dict[str, Any]:
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once()
            except SpeechError as error:
                if not error.retryable or attempt == self._attempts:
                    raise
                time.sleep(error.retry_after + _jittered(1) if error.retry_after else _jittered(attempt))
        raise AssertionError("the last attempt returns or raises")

    def _once(self) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **self._headers}
        body = json.dumps(self._wish).encode()
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - the caller's own URL
        try:
            with _OPENER.open(request, timeout=CONNECT_SECONDS) as answer:
                granted: dict[str, Any] = json.load(answer)
                return granted
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(error) from None
        except OSError as error:
            raise SpeechError("unreachable", retryable=True) from error


@dataclass(frozen=True)
class Sentence:
    """One finished sentence; times from the first sample on."""

    begin_ms: int
    end_ms: int
    text: str


class Transcriber:
    """Streams 16-bit mono PCM to the speech gateway and yields sentences as they are finished.

    When the connection breaks or the token is refused it goes on with a new one from the last finished sentence, so
    that nothing that was said is lost.

    Parameters
    ----------
    leases
        Of the use `realtime_asr`.
    reconnects
        Connections that may be lost in a row, without a sentence between them.
    """

    def __init__(self, leases: Leases, *, reconnects: int = 3) -> None:
        self._leases, self._reconnects = leases, reconnects

    def transcribe(self, audio: Iterable[bytes]) -> Iterator[Sentence]:
        """Sentences of audio at the lease's rate, in frames of about 100 ms. Read no faster than it may be sent."""
        source = _Replayable(audio)
        lost = 0
        while True:
            lease = self._leases.get()
            source.rate_hz = lease["start_params"]["sample_rate"]
            base_ms = source.rewind()
            try:
                for heard in _Session(lease).run(source):
                    lost = 0
                    sentence = Sentence(base_ms + heard["begin_time"], base_ms + heard["time"], heard["result"])
                    source.forget(sentence.end_ms)
                    if sentence.text:
                        yield sentence
                return
            except SpeechError as error:
                lost += 1
                if not error.retryable or lost > self._reconnects:
                    raise
                if error.code == TOKEN_REFUSED:
                    self._leases.drop(lease["token"])
                if error.code != TOKEN_REFUSED or lost > 1:
                    time.sleep(_jittered(lost))


class _Session:
    """One connection and one task on it."""

    def __init__(self, lease: dict[str, Any]) -> None:
        self._lease = lease
        self._task_id = uuid.uuid4().hex

    def run(self, source: _Replayable) -> Iterator[dict[str, Any]]:
        """The payloads of SentenceEnd, until TranscriptionCompleted."""
        socket = self._connect()
        sender = threading.Thread(target=self._stream, args=(socket, source), daemon=True)
        try:
            self._tell(socket, "StartTranscription", self._lease["start_params"])
            for name, payload in self._events(socket, sender.is_alive):
                if name == "TranscriptionStarted":
                    sender.start()
                elif name == "SentenceEnd":
                    yield payload
                elif name == "TranscriptionCompleted":
                    return
        finally:
            source.stop()
            socket.close()

    def _connect(self) -> websocket.WebSocket:
        try:
            return websocket.create_connection(
                self._lease["endpoints"]["websocket"],
                header={"X-NLS-Token": self._lease["token"]},
                timeout=CONNECT_SECONDS,
            )
        except websocket.WebSocketBadStatusException as error:
            refused = error.status_code in (401, 403)
            raise SpeechError(TOKEN_REFUSED if refused else error.status_code, retryable=True) from None
        except (OSError, websocket.WebSocketException) as error:
            raise SpeechError("not_opened", retryable=True) from error

    def _events(
        self, socket: websocket.WebSocket, still_sending: Callable[[], bool]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        socket.settimeout(ANSWER_SECONDS)
        while True:
            try:
                text = socket.recv()
            except websocket.WebSocketTimeoutException as error:
                if still_sending():
                    continue  # nobody speaks
                raise SpeechError("timeout", retryable=True) from error
            except (OSError, websocket.WebSocketException) as error:
                raise SpeechError("closed", retryable=True) from error
            if not text:
                raise SpeechError("closed", retryable=True)
            message = json.loads(text)
            header = message["header"]
            if header["name"] == "TaskFailed":
                status = int(header["status"])
                raise SpeechError(status, retryable=status in (TOKEN_REFUSED, TOO_MANY) or status >= 50000000)
            yield header["name"], message.get("payload") or {}

    def _stream(self, socket: websocket.WebSocket, source: _Replayable) -> None:
        """In a thread of its own; a send that blocks is the backpressure, and a broken one is heard by the reader."""
        begun, sent = time.monotonic(), 0.0
        try:
            for frame in source.frames():
                if (ahead := sent - (time.monotonic() - begun) - AHEAD_SECONDS) > 0:
                    time.sleep(ahead)
                socket.send_binary(frame)
                sent += len(frame) / 2 / source.rate_hz
            self._tell(socket, "StopTranscription")
        except (OSError, websocket.WebSocketException):
            return

    def _tell(self, socket: websocket.WebSocket, name: str, payload: dict[str, Any] | None = None) -> None:
        header = {
            "message_id": uuid.uuid4().hex,
            "task_id": self._task_id,
            "namespace": "SpeechTranscriber",
            "name": name,
            "appkey": self._lease["appkey"],
        }
        socket.send(json.dumps({"header": header, **({"payload": payload} if payload else {})}))


class _Replayable:
    """The audio since the last finished sentence, kept so that it can be sent again on a new connection."""

    def __init__(self, audio: Iterable[bytes]) -> None:
        self._audio = iter(audio)
        self._lock = threading.Lock()
        self._kept: list[bytes] = []
        self._start_bytes = 0
        self._at = 0
        self._turn = 0  # of the connection that reads
        self.rate_hz = 16000

    def frames(self) -> Iterator[bytes]:
        """From where it stands to the end, or until `stop`."""
        turn = self._turn
        while True:
            with self._lock:
                if self._turn == turn and self._at == len(self._kept):
                    frame = next(self._audio, None)
                    if frame is None:
                        return
                    self._kept.append(frame)
                if self._turn != turn:
                    return  # what was read meanwhile is kept for the next connection
                frame = self._kept[self._at]
                self._at += 1
            kept_bytes = self._start_bytes + sum(map(len, self._kept))
            self.forget((kept_bytes / 2 / self.rate_hz - REPLAYED_SECONDS) * 1000)
            yield frame

    def stop(self) -> None:
        """Let `frames` end: its connection is gone."""
        self._turn += 1

    def rewind(self) -> int:
        """Begin again with what is kept; its position in ms."""
        self._at = 0
        return round(self._start_bytes / 2 / self.rate_hz * 1000)

    def forget(self, ms: float) -> None:
        """What lies before this moment has been recognised."""
        with self._lock:
            while self._at and self._start_bytes + len(self._kept[0]) <= ms / 1000 * self.rate_hz * 2:
                self._start_bytes += len(self._kept.pop(0))
                self._at -= 1


def _problem(error: urllib.error.HTTPError) -> SpeechError:
    try:
        code = json.load(error).get("code", "http")
    except ValueError:
        code = f"http_{error.code}"  # a proxy's answer, not the service's
    said = error.headers.get("Retry-After", "")
    wait = float(said) if said.isdecimal() else 0.0
    may_pass = error.code == 429 or error.code >= 500
    return SpeechError(code, retryable=may_pass and wait <= LONGEST_WAIT_SECONDS, retry_after=wait)


def _jittered(attempt: int) -> float:
    return float(min(10.0, 0.5 * 2 ** (attempt - 1)) * random.uniform(0.5, 1))  # noqa: S311 - no secret


def frames_of(path: str, rate_hz: int) -> Iterator[bytes]:
    """A WAV file in frames of 100 ms; 16-bit mono at `rate_hz`, or ValueError."""
    with wave.open(path, "rb") as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (rate_hz, 2, 1):
            raise ValueError(f"the recording must be 16-bit mono at {rate_hz} Hz")
        while frame := file.readframes(rate_hz // 10):
            yield frame


def main() -> None:
    """Print the sentences of a WAV file as they are finished."""
    url, path = sys.argv[1:]
    leases = Leases(url, {"X-Api-Key": os.environ["SPEECH_API_KEY"]})
    rate_hz = leases.get()["start_params"]["sample_rate"]
    for sentence in Transcriber(leases).transcribe(frames_of(path, rate_hz)):
        print(f"{sentence.begin_ms}\t{sentence.end_ms}\t{sentence.text}", flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
