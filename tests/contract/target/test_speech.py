"""The rules of the speech service that this project rests on, through the official SDKs and plain HTTP.

Sources: help.aliyun.com, Intelligent Speech Interaction: RESTful synthesis, one-sentence recognition, CreateToken,
recorded-file recognition; the SDK's silence after a 403 was measured on alibabacloud-nls-python-sdk 1.0.2.
Costs on an account: three short syntheses, one recognition, one second of file transcription.
"""

from __future__ import annotations

import io
import json
import time
import wave
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ops import probe_clients
from ops.probe_target import Target
from support import target as support_target

pytestmark = pytest.mark.portable
TEXT = "北京的天气。"
RATE_HZ = 16000
POLL_SECONDS, PATIENCE_SECONDS = (10.0, 3600.0) if support_target.is_cloud() else (1.1, 30.0)


@pytest.fixture(scope="module")
def spoken(target: Target, token: tuple[str, int]) -> bytes:
    """`TEXT` as s16le samples."""
    answer = probe_clients.synthesise(target, token[0], TEXT)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_token_comes_over_https_and_says_when_it_ends(target: Target, token: tuple[str, int]) -> None:
    address = urlsplit(target.pop)
    assert address.scheme == "https" or address.hostname == "127.0.0.1"
    token_id, expires_at = token
    assert token_id
    assert time.time() + 3600 < expires_at < time.time() + 7 * 86400, "ExpireTime is in epoch seconds"


def test_synthesis_over_rest_says_what_it_is_and_is_whole(target: Target, token: tuple[str, int]) -> None:
    """Success is `audio/mpeg`, for PCM too; errors are JSON. The body is framed, so that a cut shows."""
    answer = probe_clients.synthesise(target, token[0], TEXT)
    framed = "Content-Length" in answer.headers or answer.headers.get("Transfer-Encoding") == "chunked"
    assert (answer.status_code, answer.headers["Content-Type"], framed) == (200, "audio/mpeg", True)
    samples = answer.content
    if "Content-Length" in answer.headers:
        assert len(samples) == int(answer.headers["Content-Length"])
    assert len(samples) % 2 == 0
    assert 0.5 < len(samples) / 2 / RATE_HZ < 6, "six characters"


def test_a_refusal_over_rest_is_json_with_a_status(target: Target) -> None:
    answer = probe_clients.synthesise(target, "0" * 32, TEXT)
    said = answer.json()
    assert answer.headers["Content-Type"].startswith("application/json")
    assert (answer.status_code, said["status"]) == (400, 40000001)
    assert said["task_id"]


def test_recognition_over_rest_gives_the_text(target: Target, token: tuple[str, int], spoken: bytes) -> None:
    query: dict[str, str | int] = {"appkey": target.appkey, "format": "pcm", "sample_rate": RATE_HZ}
    answer = requests.post(
        f"{target.nls_rest}/stream/v1/asr",
        params={**query, "enable_punctuation_prediction": "true"},
        data=spoken,
        headers={"X-NLS-Token": token[0], "Content-Type": "application/octet-stream"},
        timeout=30,
    )
    said = answer.json()
    assert (answer.status_code, said["status"], said["message"]) == (200, 20000000, "SUCCESS")
    assert "天气" in said["result"]


def test_the_sdk_says_nothing_of_a_refused_handshake(target: Target) -> None:
    """The rule that made us prove every success: after a 403 `start` returns as if all were well."""
    import nls

    heard: list[str] = []

    def note(name: str) -> Any:
        return lambda *_: heard.append(name)

    synthesizer = nls.NlsSpeechSynthesizer(
        url=target.nls_websocket, token="0" * 32, appkey=target.appkey,
        on_metainfo=note("metainfo"), on_data=note("data"), on_completed=note("completed"),
        on_error=note("error"), on_close=note("close"),
    )  # fmt: skip
    synthesizer.start(TEXT, voice="xiaoyun", aformat="pcm", sample_rate=RATE_HZ, wait_complete=True)
    deadline = time.monotonic() + 20
    while "close" not in heard and time.monotonic() < deadline:
        time.sleep(0.02)
    assert heard == ["close"]


def test_a_recording_is_transcribed_by_its_url(target: Target, bucket: Any, prefix: str, spoken: bytes) -> None:
    """SubmitTask and GetTaskResult, 2018-08-17; statuses 21050000, -1 (running), -2 (queueing)."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(spoken)
    bucket.put_object(prefix + "one.wav", sound.getvalue(), headers={"Content-Type": "audio/wav"})
    task = {
        "appkey": target.appkey,
        "file_link": bucket.sign_url("GET", prefix + "one.wav", 6 * 3600, slash_safe=True),
        "version": "4.0",
    }
    said = probe_clients.rpc(target, target.filetrans, "SubmitTask", "2018-08-17", body={"Task": json.dumps(task)})
    assert (said["StatusCode"], said["StatusText"]) == (21050000, "SUCCESS"), said
    task_id = said["TaskId"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while said["StatusText"] in ("QUEUEING", "RUNNING") or "Result" not in said:
        assert time.monotonic() < deadline, said
        time.sleep(POLL_SECONDS)  # one query a second and task is the limit of the service
        said = probe_clients.rpc(
            target, target.filetrans, "GetTaskResult", "2018-08-17", method="GET", query={"TaskId": task_id}
        )
        assert said["StatusCode"] in (21050000, 21050001, 21050002), said
    assert "天气" in "".join(sentence["Text"] for sentence in said["Result"]["Sentences"])
    assert {sentence["ChannelId"] for sentence in said["Result"]["Sentences"]} == {0}
