"""SpeechRecognizer: one sentence of at most 60 s, ended by Stop or, where asked for, by silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localcloud.nls import recognition, trouble
from localcloud.nls.containers import wav_data_offset
from localcloud.nls.messages import Directive
from localcloud.nls.quotas import SENTENCE
from localcloud.nls.segmenter import Begin, Segmenter
from localcloud.nls.status import TOO_LONG_SPEECH, Refusal, not_built
from localcloud.nls.task import Task

if TYPE_CHECKING:
    from localcloud.nls.websocket import Conversation

BYTES_LIMIT = 60 * 48_000 * 2  # more cannot be a sentence in any format; the true limit is judged by its length


class RecogniserTask(Task):
    """StartRecognition -> RecognitionStarted -> audio -> StopRecognition -> RecognitionCompleted."""

    STOP = "StopRecognition"

    def __init__(self, conversation: Conversation, directive: Directive) -> None:
        super().__init__(conversation, directive)
        self._audio = bytearray()
        self._wish: recognition.Wish
        self._detector: Segmenter | None = None
        self._over = False

    async def start(self) -> None:
        """See `Task.start`."""
        self.begin("nls.asr.ws", self.directive.appkey)
        project = self.gateway.project(self.directive.appkey)
        self._wish = recognition.read_wish(self.directive.payload, project, recognition.SENTENCE_ONLY)
        if self._wish.voice_detection:
            if self._wish.format != "pcm":
                raise not_built(f"enable_voice_detection for {self._wish.format}")
            self._detector = Segmenter(self._wish.rate_hz, self._wish.end_silence_ms)
        self.take_place(SENTENCE)
        await trouble.pause(self.fault)
        self.waits_for_audio_since = self.gateway.clock.now()
        await self.tell("RecognitionStarted")

    async def audio_received(self, data: bytes) -> None:
        """See `Task.audio_received`. Audio after the end of the sentence is ignored."""
        if self._over:
            return
        if self.waits_for_audio_since is None:
            await super().audio_received(data)
        self.waits_for_audio_since = self.gateway.clock.now()
        self._audio += data
        fault = self.fault
        if fault is not None and fault.action == "drop_after_bytes" and len(self._audio) >= int(fault.value or 0):
            raise trouble.Dropped(goodbye=fault.code == "close")
        if self._wish.format == "wav":
            wav_data_offset(bytes(self._audio[:65536]), self._wish.rate_hz)
        if self._wish.format in ("pcm", "wav") and len(self._audio) > self._wish.rate_hz * 2 * 60 + 65536:
            raise Refusal(TOO_LONG_SPEECH)
        if len(self._audio) > BYTES_LIMIT:
            raise Refusal(TOO_LONG_SPEECH)
        if self._detector is not None and self._silence_ended(self._detector, data):
            self._over = True
            self.waits_for_audio_since = None
            await self.stop_received()

    async def stop_received(self) -> None:
        """See `Task.stop_received`."""
        self.spawn(self._complete)

    def _silence_ended(self, detector: Segmenter, data: bytes) -> bool:
        found = detector.feed(data)
        if any(not isinstance(event, Begin) for event in found):
            return True
        return not detector.begun and detector.processed_ms >= self._wish.start_silence_ms

    async def _complete(self) -> None:
        if trouble.is_action(self.fault, "never_complete"):
            await self.wait_for_ever()
        if self.fault is not None and self.fault.action == "task_failed_after_audio":
            raise trouble.refusal(self.fault)
        if not self._audio:
            heard = recognition.Heard("", 0)
            await asyncio.sleep(0)
        else:
            heard = await recognition.recognise(
                self._wish, bytes(self._audio), self.gateway.engine, self.gateway.faults
            )
        trouble.strike(self.fault, "after")
        result = "" if trouble.is_action(self.fault, "complete_without_audio") else heard.text
        if self._wish.intermediate:
            for part in recognition.growing(result):
                await self.tell("RecognitionResultChanged", {"result": part, "duration": heard.duration_ms})
        self.finish()
        await self.tell("RecognitionCompleted", {"result": result, "duration": heard.duration_ms})
