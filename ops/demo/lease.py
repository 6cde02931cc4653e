"""Step 1: an API-Gateway client leases a token and speaks to the speech service with the official SDK."""

from __future__ import annotations

import threading
from typing import Any

import requests

RATE_HZ = 16000


class SpeechFailed(Exception):
    """The SDK returned without proof of a whole synthesis."""


def lease(local: dict[str, Any]) -> dict[str, Any]:
    """`POST /v1/token` through the gateway."""
    answer = requests.post(
        f"{local['gateway']}/v1/token",
        headers={"X-Api-Key": local["tenant"]["api_key"]},
        json={"use": "tts"},
        timeout=30,
    )
    answer.raise_for_status()
    granted: dict[str, Any] = answer.json()
    return granted


def speak(granted: dict[str, Any], text: str) -> bytes:
    """Synthesise `text` with the unmodified SDK: 16-bit mono PCM at 16 kHz.

    The SDK's `start()` also returns normally after a refusal or a dropped connection, so only `on_completed`
    without `on_error` counts.
    """
    import nls  # takes 150 ms, and only this step needs it

    audio, failures, completed = bytearray(), [], threading.Event()
    synthesizer = nls.NlsSpeechSynthesizer(
        url=granted["endpoints"]["websocket"],
        token=granted["token"],
        appkey=granted["appkey"],
        on_data=lambda data, *_: audio.extend(data),
        on_error=lambda message, *_: failures.append(message),
        on_completed=lambda message, *_: completed.set(),
    )
    synthesizer.start(text=text, voice="xiaoyun", aformat="pcm", sample_rate=RATE_HZ, completed_timeout=60)
    if failures or not completed.is_set():
        synthesizer.shutdown()
        raise SpeechFailed("the speech service did not complete the synthesis")
    return bytes(audio)
