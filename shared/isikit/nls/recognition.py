"""Recognition of one stretch of speech of at most 60 seconds by `POST /stream/v1/asr`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from isikit.errors import SpeechAudioRefused
from isikit.nls.gateway import Gateway

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken

MAX_MS: Final = 60_000
PATH: Final = "/stream/v1/asr"
_MOST_BYTES: Final = 1024 * 1024
_SUCCESS: Final = 20000000


class Recogniser:
    """One sentence or stretch at a time, with punctuation and inverse text normalisation.

    Language and sample rate belong to the AppKey's project; there is no parameter for the language.
    """

    def __init__(self, settings: Settings) -> None:
        self._gateway = Gateway(settings.nls_rest, settings.nls_concurrency, "speech-asr")

    async def recognise(self, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline) -> str:
        """The text of mono s16le samples; tries once: how patient a job is, it knows itself.

        Returns
        -------
        str
            May be empty: silence is an answer.

        Raises
        ------
        SpeechError
            What the service said. `nls.audio_too_long` above 60 seconds, before anything is sent.
        Overloaded, DeadlineExceeded
        """
        if len(pcm) / 2 * 1000 / rate_hz > MAX_MS:
            raise SpeechAudioRefused("One stretch has at most 60 seconds.", code="nls.audio_too_long")
        query = urlencode(
            {
                "appkey": appkey,
                "format": "pcm",
                "sample_rate": rate_hz,
                "enable_punctuation_prediction": "true",
                "enable_inverse_text_normalization": "true",
            }
        )
        headers = {"Content-Type": "application/octet-stream", "X-NLS-Token": token.id}
        answer = await self._gateway.post(f"{PATH}?{query}", pcm, headers, deadline, most_bytes=_MOST_BYTES)
        said = answer.json()
        text = said.get("result")
        if answer.status != 200 or said.get("status") != _SUCCESS or not isinstance(text, str):
            raise answer.error()
        return text

    async def close(self) -> None:
        """Close kept connections."""
        await self._gateway.close()
