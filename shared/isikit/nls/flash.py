"""Recognition of a whole file in one request (flash recognition): half an hour of sound in about ten seconds.

Source: the RESTful API page of flash recognition (help.aliyun.com/zh/isi/developer-reference): at most 100 MB and two
hours; WAV, MP3, MP4, AAC and OPUS; the file is brought to the model's rate; the token travels in the query, so the
path of a request is never logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from isikit.errors import SpeechAudioRefused, SpeechError
from isikit.nls.gateway import Gateway
from isikit.nls.sentences import Sentence, of_flash

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.token import SpeechToken

PATH: Final = "/stream/v1/FlashRecognizer"
MOST_BYTES: Final = 100 * 1024 * 1024
MOST_RESULT_BYTES: Final = 16 * 1024 * 1024
_SUCCESS: Final = 20000000
_SILENT: Final = "nls.no_speech"


@dataclass(frozen=True, slots=True)
class FlashOrder:
    """How to take a file.

    Attributes
    ----------
    format
        `wav`, `mp3`, `mp4`, `aac` or `opus`.
    rate_hz
        Of the AppKey's project, 8000 or 16000.
    """

    appkey: str
    format: str
    rate_hz: int
    first_channel_only: bool


class FlashRecogniser:
    """One file a request.

    Parameters
    ----------
    base_url
        `ISI_NLS_REST`.
    concurrency
        Requests at once; accounts have 10.
    """

    def __init__(self, base_url: str, concurrency: int) -> None:
        self._gateway = Gateway(base_url, concurrency, "speech-flash")

    async def recognise(
        self, data: bytes, order: FlashOrder, token: SpeechToken, deadline: Deadline
    ) -> tuple[Sentence, ...]:
        """What is said in a file; nothing where it is silent. Tries once.

        Raises
        ------
        SpeechError
            What the service said; `nls.file_too_large` above 100 MB, before anything is sent.
        Overloaded, DeadlineExceeded
        """
        if len(data) > MOST_BYTES:
            raise SpeechAudioRefused("Flash recognition takes 100 MB.", code="nls.file_too_large")
        query = urlencode(
            {
                "appkey": order.appkey,
                "token": token.id,
                "format": order.format,
                "sample_rate": order.rate_hz,
                "enable_inverse_text_normalization": "true",
                "enable_word_level_result": "true",
                "first_channel_only": "true" if order.first_channel_only else "false",
            }
        )
        headers = {"Content-Type": "application/octet-stream"}
        answer = await self._gateway.post(f"{PATH}?{query}", data, headers, deadline, most_bytes=MOST_RESULT_BYTES)
        said = answer.json()
        result = said.get("flash_result")
        if answer.status == 200 and said.get("status") == _SUCCESS and isinstance(result, dict):
            return of_flash(result.get("sentences"))
        error: SpeechError = answer.error()
        if error.code == _SILENT:
            return ()
        raise error

    async def close(self) -> None:
        """Close kept connections."""
        await self._gateway.close()
