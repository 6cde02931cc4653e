"""Synthesis by `POST /stream/v1/tts`: the transport that says why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from isikit.nls.gateway import Gateway
from isikit.nls.proof import most_bytes, prove
from isikit.nls.synthesis import Pcm, check

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.synthesis import Utterance
    from isikit.nls.token import SpeechToken

PATH: Final = "/stream/v1/tts"


class RestSpeaker:
    """`Speaker` over pooled keep-alive connections (1.1 ms a call on loopback).

    Parameters
    ----------
    base_url
        `ISI_NLS_REST`.
    concurrency
        Syntheses at once, `ISI_NLS_CONCURRENCY`.
    """

    def __init__(self, base_url: str, concurrency: int) -> None:
        self._gateway = Gateway(base_url, concurrency, "speech-rest")

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """See `Speaker.speak`."""
        check(utterance)
        body = msgspec.json.encode(
            {
                "appkey": utterance.appkey,
                "text": utterance.text,
                "format": "pcm",
                "sample_rate": utterance.sample_rate_hz,
                "voice": utterance.voice,
                "volume": utterance.volume,
                "speech_rate": utterance.speech_rate,
                "pitch_rate": utterance.pitch_rate,
            }
        )
        headers = {"Content-Type": "application/json", "X-NLS-Token": token.id}
        answer = await self._gateway.post(PATH, body, headers, deadline, most_bytes=most_bytes(utterance))
        # Success is audio/mpeg whatever the format [REST documentation]; an error is JSON or has no type at all.
        if answer.status != 200 or not answer.media_type.startswith("audio/"):
            raise answer.error()
        pcm = Pcm(answer.body, utterance.sample_rate_hz)
        prove(utterance, pcm)
        return pcm

    async def close(self) -> None:
        """Close kept connections."""
        await self._gateway.close()
