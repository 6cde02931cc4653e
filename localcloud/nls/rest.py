"""The service over plain HTTP: `/stream/v1/tts` and `/stream/v1/asr`.

Success of synthesis is `audio/mpeg` whatever the format; every failure is a small JSON document.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from localcloud.nls import recognition, synthesis, trouble
from localcloud.nls.gateway import GATEWAY, Gateway
from localcloud.nls.messages import new_id
from localcloud.nls.patience import body_of, reading_client
from localcloud.nls.quotas import SENTENCE, TTS
from localcloud.nls.status import (
    CLIENT_ERROR,
    NAMESPACE_NOT_FOUND,
    NOT_WORKING,
    SUCCESS,
    TASK_STATE,
    Refusal,
    not_built,
)

LARGEST_BODY_BYTES = 16 * 1024 * 1024  # of a sentence or a text; the service's own limit is not documented
UNREAD = (408, 413)  # the rest of the body was not read: the connection cannot be used again
Answer = Callable[[web.Request, str], Awaitable[web.StreamResponse]]


def refusing(handler: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Give every call its task id and turn refusals into the service's JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        task_id = new_id()
        try:
            return await handler(request, task_id)
        except Refusal as refusal:
            response = answer_json(task_id, refusal.status, refusal.text, refusal.http, {"result": ""})
            if refusal.http in UNREAD:
                response.force_close()
            return response
        except trouble.Dropped as dropped:
            trouble.cut(request, dropped)
            raise asyncio.CancelledError from None

    return answer


async def no_such_path(_request: web.Request, _task_id: str) -> web.StreamResponse:
    """Every other path."""
    raise Refusal(NAMESPACE_NOT_FOUND, http=404)


async def tts(request: web.Request, task_id: str) -> web.StreamResponse:
    """`GET|POST /stream/v1/tts`."""
    gateway = request.app[GATEWAY]
    values = await _tts_values(request)
    token = request.headers.get("X-NLS-Token") or str(values.pop("token", ""))
    values.pop("token", None)
    appkey = str(values.pop("appkey", ""))
    subject = f"{values.get('voice', 'xiaoyun')}: {values.get('text', '')}"
    fault = trouble.begin(gateway.faults, "nls.tts.rest", subject)
    trouble.strike(fault, "before")
    gateway.admit(token)
    gateway.project(appkey)
    order = synthesis.read_order(values)
    with gateway.quotas.slot(TTS):
        await trouble.pause(fault)
        synthesis.count(order, gateway.faults)
        chunks = trouble.troubled(synthesis.audio(order, gateway.engine), fault)
        first = await _first(chunks)
        trouble.strike(fault, "after")
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg", "X-NLS-RequestId": task_id})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            if first:
                await _write(request, response, first)
            async for chunk in chunks:
                await _write(request, response, chunk)
        except Refusal:
            raise trouble.Dropped(flush=True) from None  # the status line is gone: all that is left is to break off
        if trouble.is_action(fault, "never_complete"):
            await until_gone(request, gateway)
        await response.write_eof()
        return response


async def asr(request: web.Request, task_id: str) -> web.StreamResponse:
    """`POST /stream/v1/asr`: one sentence of at most 60 s."""
    gateway = request.app[GATEWAY]
    values: dict[str, Any] = dict(request.query)
    fault = trouble.begin(gateway.faults, "nls.asr.rest", values.get("appkey", ""))
    trouble.strike(fault, "before")
    token = request.headers.get("X-NLS-Token") or values.pop("token", "")
    values.pop("token", None)
    gateway.admit(token)
    project = gateway.project(values.pop("appkey", ""))
    wish = recognition.read_wish(values, project, recognition.SENTENCE_ONLY)
    if wish.voice_detection:
        raise not_built("enable_voice_detection over REST")
    with gateway.quotas.slot(SENTENCE):
        body = await body_of(request, limit_bytes=LARGEST_BODY_BYTES, seconds=gateway.limits.client_seconds)
        if not body:
            raise Refusal(TASK_STATE, NOT_WORKING)
        await trouble.pause(fault)
        result = await recognition.recognise(wish, body, gateway.engine, gateway.faults)
        trouble.strike(fault, "after")
        if trouble.is_action(fault, "task_failed_after_audio") and fault is not None:
            raise trouble.refusal(fault)
        if trouble.is_action(fault, "never_complete"):
            await until_gone(request, gateway)
        if trouble.is_action(fault, "complete_without_audio"):
            return answer_json(task_id, SUCCESS, "SUCCESS", 200, {"result": ""})
        return answer_json(task_id, SUCCESS, "SUCCESS", 200, {"result": result.text})


async def _tts_values(request: web.Request) -> dict[str, Any]:
    if request.method == "GET":
        return dict(request.query)
    try:
        seconds = request.app[GATEWAY].limits.client_seconds
        values = json.loads(await body_of(request, limit_bytes=LARGEST_BODY_BYTES, seconds=seconds))
    except (ValueError, RecursionError) as error:
        raise Refusal(CLIENT_ERROR) from error
    if not isinstance(values, dict):
        raise Refusal(CLIENT_ERROR)
    return values


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    with reading_client(request, request.app[GATEWAY].limits.client_seconds):
        await response.write(data)


async def _first(chunks: Any) -> bytes:
    """The first frame, so that what fails before it can still be told in JSON."""
    try:
        return bytes(await anext(chunks))
    except StopAsyncIteration:
        return b""


async def until_gone(request: web.Request, gateway: Gateway) -> None:
    """Hold the answer open until the client gives up or the service stops."""
    while request.transport is not None and not request.transport.is_closing():
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await gateway.closing.wait()
                return


def answer_json(task_id: str, status: int, message: str, http: int, result: dict[str, Any]) -> web.Response:
    """The service's JSON; `result` stands where its documents show it: `flash_result` last, `result` after the id."""
    document: dict[str, Any] = {"task_id": task_id}
    if "result" in result:
        document |= result
    document |= {"status": status, "message": message}
    document |= result
    return web.Response(
        status=http,
        text=json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        content_type="application/json",
        headers={"X-NLS-RequestId": task_id},
    )
