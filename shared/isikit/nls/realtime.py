"""Recognition over the official WebSocket SDK: whole conversations at the pace they were spoken, or one stretch of it.

What is known of the SDK (see `sdk`) holds here too, and this besides: after a TaskFailed or a 403 `start` and `stop`
return as if all were well; the transcriber's `send_audio` drops audio in silence when the connection is gone; the
service wants audio at about the speed of speech, faster ends in 41040202, and after 10 s without any it gives up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from isikit.errors import SpeechAudioRefused
from isikit.nls.gateway import away
from isikit.nls.recognition import MAX_MS
from isikit.nls.sdk_task import SdkTask, sdk
from isikit.nls.sentences import Sentence
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken

CHUNK_MS: Final = 100
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 15.0
MOST_SENTENCES: Final = 10_000


class SdkListener:
    """Recognition by the official SDK.

    Parameters
    ----------
    url
        `ISI_NLS_WEBSOCKET`, ends in `/ws/v1`.
    concurrency
        Tasks at once.
    pace
        How many times faster than speech audio is sent: 1 for the service, more for tests.
    """

    def __init__(self, url: str, concurrency: int, *, pace: float = 1.0) -> None:
        self._url = url
        self._pace = pace
        self._threads = BoundedThreads("speech-realtime", concurrency)

    async def transcribe(
        self, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline
    ) -> tuple[Sentence, ...]:
        """The sentences in mono s16le samples of any length (SpeechTranscriber); takes as long as they last.

        Raises
        ------
        SpeechError
            What the service said, or why it could not be heard.
        Overloaded, DeadlineExceeded
        """
        task = _Transcription(self._url, pcm, rate_hz, appkey, token, deadline, self._pace)
        await self._threads.run(task.run, deadline, task.cut)
        return tuple(task.sentences)

    async def recognise(self, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline) -> str:
        """The text of one stretch of at most 60 seconds (SpeechRecognizer); "" where nothing was said.

        Raises
        ------
        SpeechError
            As `transcribe`; `nls.audio_too_long` before anything is sent.
        Overloaded, DeadlineExceeded
        """
        if len(pcm) / 2 * 1000 / rate_hz > MAX_MS:
            raise SpeechAudioRefused("One stretch has at most 60 seconds.", code="nls.audio_too_long")
        task = _Recognition(self._url, pcm, rate_hz, appkey, token, deadline, self._pace)
        await self._threads.run(task.run, deadline, task.cut)
        return task.text

    async def close(self) -> None:
        """Take no more work; every connection closes with its task."""
        self._threads.close()


class _Listening(SdkTask):
    """One task that listens to audio."""

    CLIENT: ClassVar[str]

    def __init__(
        self, url: str, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline, pace: float
    ) -> None:
        super().__init__(url, asyncio.get_running_loop())
        self._pcm, self._rate_hz, self._appkey, self._token = pcm, rate_hz, appkey, token
        self._deadline, self._pace = deadline, pace

    def run(self) -> None:
        """Send everything, wait for the end, and judge what was heard."""
        nls = sdk()
        self._client = getattr(nls, self.CLIENT)(
            url=self._url,
            token=self._token.id,
            appkey=self._appkey,
            on_start=self._on_sign_of_life,
            on_completed=self._on_completed,
            on_error=self._on_error,
            on_close=self._on_close,
            **self._callbacks(),
        )
        failures = (nls.exception.ConnectionTimeout, nls.exception.StartTimeoutException)
        try:
            self._deadline.check()
            self._client.start(
                aformat="pcm",
                sample_rate=self._rate_hz,
                enable_punctuation_prediction=True,
                enable_inverse_text_normalization=True,
                timeout=max(min(START_SECONDS, self._deadline.remaining()), 0.05),
            )
            self._remember_socket()
            self._play()
        except failures as error:
            raise away("nls.unreachable", "The speech service did not answer the connection.") from error
        finally:
            self._end()
        self._judge("The connection broke before everything was heard.")

    def _play(self) -> None:
        """Send the audio at its pace, and say that it is over. Whatever breaks on the way is told by the callbacks."""
        size = 2 * self._rate_hz * CHUNK_MS // 1000
        began = time.monotonic()
        # Anything the SDK's socket raises: it does not map what it meets, and the callbacks decide what it was.
        with contextlib.suppress(Exception):
            for number, at in enumerate(range(0, len(self._pcm), size)):
                due = began + number * CHUNK_MS / 1000 / self._pace
                if self._finished.wait(max(0.0, due - time.monotonic())):
                    return
                self._client.send_audio(self._pcm[at : at + size])
            self._client.stop(timeout=max(min(STOP_SECONDS, self._deadline.remaining()), 0.05))
        self._finished.wait(min(STOP_SECONDS, self._deadline.remaining()))

    def _callbacks(self) -> dict[str, Any]:
        return {}


class _Transcription(_Listening):
    CORE = "_NlsSpeechTranscriber__nls"
    CLIENT = "NlsSpeechTranscriber"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sentences: list[Sentence] = []

    def _callbacks(self) -> dict[str, Any]:
        return {"on_sentence_end": self._on_sentence}

    def _on_sentence(self, message: object = "", *_: object) -> None:
        self._on_sign_of_life()
        told = _payload(message)
        text, start, end = told.get("result"), told.get("begin_time"), told.get("time")
        if isinstance(text, str) and isinstance(end, int) and len(self.sentences) < MOST_SENTENCES:
            start_ms = start if isinstance(start, int) and 0 <= start <= end else 0
            self.sentences.append(Sentence(start_ms, end, 0, text))


class _Recognition(_Listening):
    CORE = "_NlsSpeechRecognizer__nls"
    CLIENT = "NlsSpeechRecognizer"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.text = ""

    def _on_completed(self, message: object = "", *rest: object) -> None:
        text = _payload(message).get("result")
        self.text = text if isinstance(text, str) else ""
        super()._on_completed(message, *rest)


def _payload(message: object) -> dict[str, Any]:
    """The payload of an event; empty for what cannot be read."""
    try:
        told = json.loads(message)["payload"]  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
