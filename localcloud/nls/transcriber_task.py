"""SpeechTranscriber: an endless stream, cut into sentences by silence in audio time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localcloud.nls import recognition, trouble
from localcloud.nls.containers import wav_data_offset
from localcloud.nls.messages import Directive, new_id
from localcloud.nls.quotas import REALTIME
from localcloud.nls.segmenter import Begin, End, Segmenter
from localcloud.nls.status import NO_CLIENT_DATA, TOO_FAST, Refusal, not_built
from localcloud.nls.task import Task

if TYPE_CHECKING:
    from localcloud.nls.websocket import Conversation


class TranscriberTask(Task):
    """StartTranscription -> TranscriptionStarted -> (SentenceBegin, SentenceEnd)* -> TranscriptionCompleted."""

    STOP = "StopTranscription"
    CONTROLS = frozenset(("ControlTranscriber", "ControlTranscription"))

    def __init__(self, conversation: Conversation, directive: Directive) -> None:
        super().__init__(conversation, directive)
        self._wish: recognition.Wish
        self._segmenter: Segmenter
        self._events: asyncio.Queue[Begin | End | None] = asyncio.Queue()
        self._header = bytearray()
        self._in_header = False
        self._bytes = 0
        self._started_at = 0.0

    async def start(self) -> None:
        """See `Task.start`."""
        self.begin("nls.asr.ws", self.directive.appkey)
        project = self.gateway.project(self.directive.appkey)
        self._wish = wish = recognition.read_wish(self.directive.payload, project, recognition.REALTIME_ONLY)
        if wish.format not in ("pcm", "wav"):
            raise not_built(f"format {wish.format} in real time")
        self._in_header = wish.format == "wav"
        self._segmenter = Segmenter(wish.rate_hz, wish.end_silence_ms)
        self.take_place(REALTIME)
        await trouble.pause(self.fault)
        self.gateway.faults.add("nls.recognition")
        self._started_at = self.waits_for_audio_since = self.gateway.clock.now()
        self.spawn(self._tell_sentences)
        await self.tell("TranscriptionStarted")

    async def audio_received(self, data: bytes) -> None:
        """See `Task.audio_received`. Audio that runs too far ahead of the clock is 41040202."""
        if self.waits_for_audio_since is None:
            await super().audio_received(data)
        now = self.waits_for_audio_since = self.gateway.clock.now()
        self._bytes += len(data)
        fault = self.fault
        if fault is not None and fault.action == "drop_after_bytes" and self._bytes >= int(fault.value or 0):
            raise trouble.Dropped(goodbye=fault.code == "close")
        ahead = self._bytes / 2 / self._wish.rate_hz - (now - self._started_at)
        if ahead > self.gateway.limits.pace_slack_seconds:
            raise Refusal(TOO_FAST)
        for event in self._segmenter.feed(self._samples(data)):
            self._events.put_nowait(event)

    async def stop_received(self) -> None:
        """See `Task.stop_received`."""
        for event in (*self._segmenter.finish(), None):
            self._events.put_nowait(event)

    def audio_timeout(self, last_directive: str) -> Refusal:
        """See `Task.audio_timeout`: pings do not replace audio."""
        return Refusal(NO_CLIENT_DATA)

    def finish(self) -> None:
        """See `Task.finish`; books the audio heard, once."""
        if self.at_work:
            self.gateway.faults.add("nls.recognition.audio_ms", self._segmenter.processed_ms)
        super().finish()

    def _samples(self, data: bytes) -> bytes:
        """The samples in a frame: without the WAV header where there is one."""
        if not self._in_header:
            return data
        self._header += data
        offset = wav_data_offset(bytes(self._header), self._wish.rate_hz)
        if offset is None:
            return b""
        self._in_header = False
        return bytes(self._header[offset:])

    async def _tell_sentences(self) -> None:
        while (event := await self._events.get()) is not None:
            if isinstance(event, Begin):
                await self.tell("SentenceBegin", {"index": event.index, "time": event.time_ms})
            else:
                await self._end_sentence(event)
        if trouble.is_action(self.fault, "never_complete"):
            await self.wait_for_ever()
        if self.fault is not None and self.fault.action == "task_failed_after_audio":
            raise trouble.refusal(self.fault)
        trouble.strike(self.fault, "after")
        self.finish()
        await self.tell("TranscriptionCompleted")

    async def _end_sentence(self, end: End) -> None:
        text = await recognition.hear(self.gateway.engine, end.pcm, self._wish.rate_hz)
        if trouble.is_action(self.fault, "complete_without_audio"):
            text = ""
        if self._wish.intermediate:
            for part in recognition.growing(text):
                await self.tell(
                    "TranscriptionResultChanged",
                    {"index": end.index, "time": end.time_ms, "result": part, "confidence": 1.0, "words": []},
                )
        await self.tell("SentenceEnd", _sentence(end, text))


def _sentence(end: End, text: str) -> dict[str, object]:
    """The payload of SentenceEnd with every field of the recorded one, in its order."""
    return {
        "index": end.index,
        "time": end.time_ms,
        "result": text,
        "confidence": 0.9 if text else 0.0,
        "words": [],
        "status": 0,
        "gender": "",
        "begin_time": end.begin_ms,
        "fixed_result": "",
        "unfixed_result": "",
        "stash_result": {
            "sentenceId": end.index + 1,
            "beginTime": end.time_ms,
            "text": "",
            "fixedText": "",
            "unfixedText": "",
            "currentTime": end.time_ms,
            "words": [],
        },
        "audio_extra_info": "",
        "sentence_id": new_id(),
        "gender_score": 0.0,
    }
