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
from typing import TYPE_CHECKING

from isikit.errors import SpeechError
from isikit.nls.gateway import away
from isikit.nls.proof import most_bytes, prove
from isikit.nls.sdk_task import SdkTask, sdk
from isikit.nls.synthesis import Pcm, check
from isikit.threads import BoundedThreads

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.synthesis import Utterance
    from isikit.nls.token import SpeechToken


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


class _Task(SdkTask):
    """One synthesis."""

    CORE = "_NlsSpeechSynthesizer__nls"

    def __init__(
        self,
        url: str,
        utterance: Utterance,
        token: SpeechToken,
        deadline: Deadline,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(url, loop)
        self._utterance, self._token, self._deadline = utterance, token, deadline
        self._most_bytes = most_bytes(utterance)
        self._audio = bytearray()

    def run(self) -> Pcm:
        """Speak and judge what was heard."""
        nls = sdk()
        utterance = self._utterance
        self._client = nls.NlsSpeechSynthesizer(
            url=self._url,
            token=self._token.id,
            appkey=utterance.appkey,
            on_metainfo=self._on_sign_of_life,
            on_data=self._on_data,
            on_completed=self._on_completed,
            on_error=self._on_error,
            on_close=self._on_close,
        )
        try:
            self._deadline.check()
            self._client.start(
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
        except (nls.exception.ConnectionTimeout, nls.exception.StartTimeoutException) as error:
            raise away("nls.unreachable", "The speech service did not answer the connection.") from error
        finally:
            self._end()
        self._judge("The connection broke before the audio was whole.")
        return Pcm(bytes(self._audio), utterance.sample_rate_hz)

    def _on_data(self, data: object = b"", *_: object) -> None:
        self._on_sign_of_life()
        if isinstance(data, (bytes, bytearray)):
            self._audio += data
        if len(self._audio) > self._most_bytes:
            self._fail(SpeechError("The answer is longer than it can be.", code="nls.unproved"))
