"""`/stream/v1/FlashRecognizer`: a whole file recognised while the client waits.

Source: the RESTful API page of flash recognition (help.aliyun.com/zh/isi/developer-reference) and its code table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localcloud.account import SpeechProject
from localcloud.nls import parameters, trouble
from localcloud.nls.download import DownloadFailed, download, is_url
from localcloud.nls.files import Recording, Unreadable
from localcloud.nls.gateway import GATEWAY, Gateway
from localcloud.nls.patience import body_of
from localcloud.nls.quotas import FLASH
from localcloud.nls.rest import answer_json, until_gone
from localcloud.nls.status import (
    CLIENT_ERROR,
    IDLE_TIMEOUT,
    NOT_WORKING,
    SUCCESS,
    TASK_STATE,
    UNSUPPORTED_SAMPLE_RATE,
    Refusal,
    invalid,
)
from localcloud.nls.transcript import Cut, Sentence, Transcript, transcribe, words_of

UNSUPPORTED_FILE, NO_VALID_AUDIO, DECODE_ERROR, NO_STREAM, DOWNLOAD_FAILED = (
    40270001,
    40270002,
    40270003,
    40270004,
    40270006,
)
DEMUXERS = {"mp4": "mov", "aac": "aac", "mp3": "mp3", "opus": "ogg", "wav": "wav"}
_KNOWN = (
    "format",
    "sample_rate",
    "vocabulary_id",
    "customization_id",
    "enable_inverse_text_normalization",
    "enable_word_level_result",
    "enable_timestamp_alignment",
    "first_channel_only",
    "speech_noise_threshold",
    "audio_address",
)
_UNBUILT = ("special_word_filter", "sentence_max_length")
_FLAGS = ("enable_inverse_text_normalization", "enable_timestamp_alignment")
_REASONS = {"no_audio": NO_STREAM, "channels": NO_STREAM}


@dataclass(frozen=True, slots=True)
class FlashWish:
    """A checked request."""

    demuxer: str
    rate_hz: int
    channels: int
    words: bool
    address: str


def read_wish(values: Mapping[str, Any], project: SpeechProject) -> FlashWish:
    """Check the parameters of the query.

    Raises
    ------
    Refusal
        40270001 for an unknown format, 41010101 for a sample rate that is not the project's, 40000003 for the rest.
    """
    parameters.refuse_unknown(values, _KNOWN, _UNBUILT)
    if not values.get("format"):
        raise invalid("format not set")
    demuxer = DEMUXERS.get(str(values["format"]).lower())
    if demuxer is None:
        raise Refusal(UNSUPPORTED_FILE)
    rate_hz = parameters.number(values, "sample_rate", 16000, 8000, 16000)
    if rate_hz != project.sample_rate_hz:
        raise Refusal(UNSUPPORTED_SAMPLE_RATE)
    for name in _FLAGS:
        parameters.flag(values, name)
    _noise_threshold(values.get("speech_noise_threshold", "0"))
    first_only = rate_hz == 16000
    if values.get("first_channel_only"):
        first_only = parameters.flag(values, "first_channel_only")
    address = values.get("audio_address", "")
    if address and not is_url(address):
        raise invalid(f"Invalid audio_address '{address}'!")
    channels = 1 if first_only else 2
    return FlashWish(demuxer, rate_hz, channels, parameters.flag(values, "enable_word_level_result"), address)


async def flash(request: web.Request, task_id: str) -> web.StreamResponse:
    """`POST /stream/v1/FlashRecognizer`; by GET too when the audio comes by `audio_address`."""
    gateway = request.app[GATEWAY]
    values: dict[str, Any] = dict(request.query)
    fault = trouble.begin(gateway.faults, "nls.flash", values.get("appkey", ""))
    trouble.strike(fault, "before")
    gateway.admit(values.pop("token", ""))
    project = gateway.project(values.pop("appkey", ""))
    wish = read_wish(values, project)
    started = time.monotonic()
    with gateway.quotas.slot(FLASH):
        data = await _audio(request, gateway, wish)
        try:
            async with asyncio.timeout(gateway.limits.flash_seconds):
                await trouble.pause(fault)
                found = await _transcript(data, wish, gateway)
        except TimeoutError as error:
            text = "Gateway:IDLE_TIMEOUT:Websocket session is idle for too long time"
            raise Refusal(IDLE_TIMEOUT, text) from error
        gateway.faults.add("nls.recognition")
        gateway.faults.add("nls.recognition.audio_ms", found.duration_ms * found.channels)
        trouble.strike(fault, "after")
        if fault is not None and fault.action == "task_failed_after_audio":
            raise trouble.refusal(fault)
        if trouble.is_action(fault, "never_complete"):
            await until_gone(request, gateway)
        sentences = () if trouble.is_action(fault, "complete_without_audio") else found.sentences
        result = {
            "duration": found.duration_ms,
            "latency": round((time.monotonic() - started) * 1000),
            "sentences": [_sentence(sentence, wish.words) for sentence in sentences],
        }
        return answer_json(task_id, SUCCESS, "SUCCESS", 200, {"flash_result": result})


async def _audio(request: web.Request, gateway: Gateway, wish: FlashWish) -> bytes:
    limits = gateway.limits
    body = await body_of(request, limit_bytes=limits.flash_bytes, seconds=limits.client_seconds)
    if bool(body) == bool(wish.address):
        raise Refusal(TASK_STATE, NOT_WORKING)
    if not wish.address:
        return body
    try:
        return await download(wish.address, limit_bytes=limits.flash_bytes, seconds=limits.flash_seconds)
    except DownloadFailed as error:
        raise Refusal(DOWNLOAD_FAILED) from error


async def _transcript(data: bytes, wish: FlashWish, gateway: Gateway) -> Transcript:
    try:
        recording = await asyncio.to_thread(Recording, data, wish.demuxer)
        cut = Cut(wish.rate_hz, wish.channels, gateway.limits.flash_audio_ms)
        found = await transcribe(recording, cut, gateway.engine)
    except Unreadable as error:
        if error.reason == "too_long":
            raise Refusal(CLIENT_ERROR, "Gateway:CLIENT_ERROR:the audio is longer than 2 hours") from error
        raise Refusal(_REASONS.get(error.reason, DECODE_ERROR)) from error
    if not found.sentences:
        raise Refusal(NO_VALID_AUDIO)
    return found


def _sentence(sentence: Sentence, with_words: bool) -> dict[str, Any]:
    """Times of words are strings, those of sentences numbers, as documented."""
    document: dict[str, Any] = {"text": sentence.text}
    if with_words:
        document["words"] = [
            {
                "text": word.text,
                "begin_time": str(word.begin_ms),
                "end_time": str(word.end_ms),
                "punc": word.punctuation,
            }
            for word in words_of(sentence)
        ]
    return document | {
        "begin_time": sentence.begin_ms,
        "end_time": sentence.end_ms,
        "channel_id": sentence.channel,
    }


def _noise_threshold(text: object) -> None:
    try:
        fits = -1.0 <= float(str(text)) <= 1.0
    except ValueError:
        fits = False
    if not fits:
        raise invalid(f"Invalid speech_noise_threshold '{text}'!")
