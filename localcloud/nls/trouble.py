"""Faults that only the speech service knows: audio that stops, tasks that fail late, completions that never come.

Actions besides `error`, `drop` and `delay`: `drop_after_bytes` (`value` bytes, then the connection is cut; with
`code="close"` a WebSocket says goodbye first), `task_failed_after_audio` (after `value` bytes, or after all),
`never_complete`, `complete_without_audio`, and on WebSocket `handshake_403`, `handshake_delay`, `duplicate_events`
(every event of the task twice) and `fragment_frames` (every frame of the task in three parts). A fault's `subject` is
looked for in `voice: text` of a synthesis and in the AppKey of a recognition.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from localcloud.faults import Fault, Faults
from localcloud.nls.status import ACCESS_DENIED, SERVER_ERROR, Refusal

_UNTOLD_STATUS = 500  # what a fault says that was armed without a status
WEBSOCKET_OPERATIONS = ("nls.tts.ws", "nls.asr.ws")


class Dropped(Exception):
    """The connection is to be cut.

    `goodbye` sends a close frame first; `flush` lets what was sent so far arrive, where a reset might lose it.
    """

    def __init__(self, *, goodbye: bool = False, flush: bool = False) -> None:
        self.goodbye = goodbye
        self.flush = flush
        super().__init__("the connection is cut by a fault")


def begin(faults: Faults, operation: str, subject: str) -> Fault | None:
    """Count a call; the fault that strikes it, if any. Handshake faults strike earlier."""
    return faults.begin(operation, subject, only=lambda fault: not _is_of_handshake(fault))


def begin_handshake(faults: Faults) -> Fault | None:
    """The fault that strikes a WebSocket handshake, whose service is not known yet. Not a call of an operation."""
    for operation in WEBSOCKET_OPERATIONS:
        fault = faults.begin(operation, None, only=_is_of_handshake, counted=False)
        if fault is not None:
            return fault
    return None


def _is_of_handshake(fault: Fault) -> bool:
    return fault.action.startswith("handshake_")


def refusal(fault: Fault) -> Refusal:
    """The service's own error that an `error` or `task_failed_after_audio` fault stands for.

    `code` is the 8-digit status (or `status`, when it is one). A `status` of 200 or 400 is that of HTTP over REST: the
    service's failures were seen with both. `value` replaces the text.
    """
    code = int(fault.code) if fault.code.isdigit() else fault.status if fault.status >= 1000 else SERVER_ERROR
    http = fault.status if fault.status != _UNTOLD_STATUS and fault.status < 1000 else 0
    return Refusal(code, fault.value if fault.action == "error" else "", http=http)


def handshake_refusal(fault: Fault, token: str) -> Refusal:
    """What `handshake_403` answers: the token is invalid, or has expired (`value="expired"`)."""
    if fault.value == "expired":
        return Refusal(ACCESS_DENIED, f"Gateway:ACCESS_DENIED:The token '{token}' has expired!")
    return Refusal(ACCESS_DENIED, f"Meta:ACCESS_DENIED:The token '{token}' is invalid!")


def strike(fault: Fault | None, when: str) -> None:
    """Raise what an `error` or `drop` fault of that phase does."""
    if fault is None or fault.when != when:
        return
    if fault.action == "error":
        raise refusal(fault)
    if fault.action == "drop":
        raise Dropped


async def pause(fault: Fault | None) -> None:
    """Wait out a `delay` fault."""
    if fault is not None and fault.action == "delay":
        await asyncio.sleep(fault.seconds)


def is_action(fault: Fault | None, action: str) -> bool:
    """Whether the fault is of that action."""
    return fault is not None and fault.action == action


async def troubled(chunks: AsyncIterator[bytes], fault: Fault | None) -> AsyncIterator[bytes]:
    """The audio, as far as the fault lets it through.

    Raises
    ------
    Dropped, Refusal
        At the byte where the fault strikes, or at the end of the audio.
    """
    action = fault.action if fault is not None else ""
    counts_bytes = action in ("drop_after_bytes", "task_failed_after_audio")
    limit = int(fault.value) if fault is not None and fault.value and counts_bytes else None
    sent = 0
    async for chunk in chunks:
        if action == "complete_without_audio":
            continue
        part = chunk if limit is None else chunk[: limit - sent]
        if part:
            yield part
        sent += len(part)
        if limit is not None and sent >= limit:
            break
    if fault is not None and action == "drop_after_bytes":
        raise Dropped(goodbye=fault.code == "close", flush=True)
    if fault is not None and action == "task_failed_after_audio":
        raise refusal(fault)


def cut(request: web.Request, dropped: Dropped) -> None:
    """End the connection without an answer: with a reset, or after what was sent."""
    if request.transport is None:
        return
    if dropped.flush:
        request.transport.close()
    else:
        request.transport.abort()


def fragments(data: bytes, opcode: int) -> bytes:
    """One message as three unmasked WebSocket frames on the wire (RFC 6455, 5.4)."""
    third = -(-len(data) // 3)
    parts = (data[:third], data[third : 2 * third], data[2 * third :])
    heads = (opcode, 0x00, 0x80)  # the first names the kind, the last is final
    return b"".join(_frame_head(head, len(part)) + part for head, part in zip(heads, parts, strict=True))


def _frame_head(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")
