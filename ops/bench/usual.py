"""What people write today: a handler with the official SDK, `put_object` and `sign_url`, here behind Starlette.

One token per process, the text's MD5 as key, `object_exists` as cache. It is given what such a handler does not have on
Function Compute: one process for all requests, where a built-in runtime starts an instance for each one at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

URL_SECONDS = 3600


class SynthesisFailed(Exception):
    """The SDK returned without a completed synthesis. (Most of what is written today does not even look.)"""


@functools.cache
def token() -> str:
    """A speech token by the core SDK, kept for the life of the process."""
    import json

    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest

    client = AcsClient(
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"], "cn-shanghai"
    )
    asked = CommonRequest()
    asked.set_method("POST")
    asked.set_domain(os.environ["ISI_POP_NLS_META"].removeprefix("http://"))
    asked.set_version("2019-02-28")
    asked.set_action_name("CreateToken")
    granted: dict[str, Any] = json.loads(client.do_action_with_exception(asked))
    return str(granted["Token"]["Id"])


@functools.cache
def bucket() -> Any:
    """The bucket, as everybody opens it."""
    import oss2

    auth = oss2.AuthV4(os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"])
    return oss2.Bucket(
        auth, os.environ["ISI_OSS_INTERNAL"], os.environ["ISI_BUCKET_PROMPTS"], region=os.environ["ISI_REGION"]
    )


def speak(text: str) -> bytes:
    """One synthesis by the official SDK: WAV at 8 kHz."""
    import nls

    audio, completed = bytearray(), threading.Event()
    synthesizer = nls.NlsSpeechSynthesizer(
        url=os.environ["ISI_NLS_WEBSOCKET"],
        token=token(),
        appkey=os.environ["BENCH_APPKEY"],
        on_data=lambda data, *_: audio.extend(data),
        on_completed=lambda *_: completed.set(),
    )
    synthesizer.start(text=text, voice="xiaoyun", aformat="wav", sample_rate=8000, completed_timeout=20)
    if not completed.is_set():
        synthesizer.shutdown()
        raise SynthesisFailed
    return bytes(audio)


def answer(text: str) -> dict[str, str]:
    """The handler."""
    key = f"usual/{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}.wav"
    if not bucket().object_exists(key):
        bucket().put_object(key, speak(text))
    return {"url": bucket().sign_url("GET", key, URL_SECONDS)}


async def _post(request: Request) -> Response:
    from starlette.concurrency import run_in_threadpool

    document = await request.json()
    try:
        return JSONResponse(await run_in_threadpool(answer, document["text"]))
    except Exception as error:  # noqa: BLE001 - as a built-in runtime would answer
        return JSONResponse({"errorType": type(error).__name__}, 502)


app = Starlette(routes=[Route("/v1/prompts", _post, methods=["POST"])])
