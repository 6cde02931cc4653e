"""SpeechSynthesizer and SpeechLongSynthesizer: one directive in, binary frames out, no Stop."""

from __future__ import annotations

from functools import partial

from localcloud.nls import synthesis, trouble
from localcloud.nls.quotas import LONG_TTS, TTS
from localcloud.nls.task import Task


class SynthesisTask(Task):
    """StartSynthesis -> SynthesisStarted, audio, SynthesisCompleted (without a payload)."""

    async def start(self) -> None:
        """See `Task.start`."""
        values = self.directive.payload
        long = self.directive.namespace == "SpeechLongSynthesizer"
        self.begin("nls.tts.ws", f"{values.get('voice', 'xiaoyun')}: {values.get('text', '')}")
        order = synthesis.read_order(values, long=long)
        self.take_place(LONG_TTS if long else TTS)
        self.spawn(partial(self._speak, order))

    async def _speak(self, order: synthesis.Order) -> None:
        fault = self.fault
        await self.tell("SynthesisStarted")
        await trouble.pause(fault)
        synthesis.count(order, self.gateway.faults)
        async for frame in trouble.troubled(synthesis.audio(order, self.gateway.engine), fault):
            trouble.strike(fault, "after")
            await self.conversation.send_audio(frame, fault)
        if trouble.is_action(fault, "never_complete"):
            await self.wait_for_ever()
        self.finish()
        await self.tell("SynthesisCompleted")
