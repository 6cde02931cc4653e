"""`/ws/v1`: the handshake, and one conversation at a time on each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiohttp import WSMsgType, web

from localcloud.faults import Fault
from localcloud.nls import trouble
from localcloud.nls.gateway import GATEWAY, Gateway
from localcloud.nls.messages import NO_TASK, Directive, event, failed, parse, task_id_of
from localcloud.nls.patience import reading_client
from localcloud.nls.recogniser_task import RecogniserTask
from localcloud.nls.status import (
    MESSAGE_INVALID,
    NAMESPACE_NOT_FOUND,
    NOT_WORKING,
    TASK_STATE,
    UNSUPPORTED_DIRECTIVE,
    Refusal,
    not_built,
)
from localcloud.nls.synthesis_task import SynthesisTask
from localcloud.nls.task import Task, idle
from localcloud.nls.transcriber_task import TranscriberTask

LARGEST_MESSAGE_BYTES = 4 * 1024 * 1024  # 1009 beyond; the service's own limit is not documented
TICK_SECONDS = 0.1  # how often the idle rule is judged by the account's clock
TASKS: dict[str, tuple[str, type[Task]]] = {
    "SpeechSynthesizer": ("StartSynthesis", SynthesisTask),
    "SpeechLongSynthesizer": ("StartSynthesis", SynthesisTask),
    "SpeechRecognizer": ("StartRecognition", RecogniserTask),
    "SpeechTranscriber": ("StartTranscription", TranscriberTask),
}
_UNBUILT = frozenset(("FlowingSpeechSynthesizer",))


async def handle(request: web.Request) -> web.StreamResponse:
    """Check the token (403 in plain text without a Content-Type when it is bad), then talk."""
    gateway = request.app[GATEWAY]
    token = request.query.get("token", "") or request.headers.get("X-NLS-Token", "")
    fault = trouble.begin_handshake(gateway.faults)
    if trouble.is_action(fault, "handshake_delay") and fault is not None:
        await asyncio.sleep(fault.seconds)
    try:
        if fault is not None and fault.action == "handshake_403":
            raise trouble.handshake_refusal(fault, token)
        gateway.admit(token)
    except Refusal as refusal:
        return web.Response(status=403, body=refusal.text.encode())
    # Pings are answered here, because they count as a sign of life; no extension is ever agreed on.
    socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=LARGEST_MESSAGE_BYTES)
    await socket.prepare(request)
    gateway.sockets.add(socket)
    try:
        await Conversation(gateway, request, socket).run()
    finally:
        gateway.sockets.discard(socket)
    return socket


class Conversation:
    """One connection: reads directives and audio, and lets the task of the moment answer.

    Several tasks may follow one another on it, each with a new task id.
    """

    def __init__(self, gateway: Gateway, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.gateway = gateway
        self._request = request
        self._socket = socket
        self._task: Task | None = None
        self._last_directive = ""
        self._seen_at = gateway.clock.now()

    async def run(self) -> None:
        """Until the client leaves, a task fails, or nothing happens for too long."""
        try:
            while not self._socket.closed:
                try:
                    message = await self._socket.receive(timeout=TICK_SECONDS)
                except TimeoutError:
                    await self._judge_silence()
                    continue
                self._seen_at = self.gateway.clock.now()
                if message.type is WSMsgType.PING:
                    with reading_client(self._request, self.gateway.limits.client_seconds):
                        await self._socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._guarded(self._text(message.data), task_id_of(message.data))
                elif message.type is WSMsgType.BINARY:
                    await self._guarded(self._binary(message.data), self._task_id)
                elif message.type is not WSMsgType.PONG:
                    return
        except ConnectionResetError:
            return
        finally:
            if self._task is not None:
                if self._task.at_work:
                    self.gateway.faults.add("nls.disconnected")
                await self._task.abandon()

    async def send_event(
        self,
        directive: Directive,
        name: str,
        payload: dict[str, object] | None = None,
        fault: Fault | None = None,
    ) -> None:
        """An event of the directive's task, as the task's fault lets it out."""
        for _ in range(2 if trouble.is_action(fault, "duplicate_events") else 1):
            text = event(directive.namespace, name, directive.task_id, payload)
            await self._send(text.encode(), WSMsgType.TEXT, fault)

    async def send_audio(self, frame: bytes, fault: Fault | None = None) -> None:
        """One binary message."""
        await self._send(frame, WSMsgType.BINARY, fault)

    async def _send(self, data: bytes, kind: WSMsgType, fault: Fault | None) -> None:
        """Write one message. A client that does not read loses its connection after a while, and the task its place."""
        if trouble.is_action(fault, "fragment_frames") and self._request.transport is not None:
            self._request.transport.write(trouble.fragments(data, kind))
            return
        with reading_client(self._request, self.gateway.limits.client_seconds):
            if kind is WSMsgType.TEXT:
                await self._socket.send_str(data.decode())
            else:
                await self._socket.send_bytes(data)

    async def fail(self, task_id: str, refusal: Refusal) -> None:
        """TaskFailed, after which the service closes the connection."""
        if self._socket.closed:
            return
        with reading_client(self._request, self.gateway.limits.client_seconds):
            await self._socket.send_str(failed(task_id, refusal))
            await self._socket.close()

    async def drop(self, dropped: trouble.Dropped) -> None:
        """Cut the connection as a fault demands."""
        if dropped.goodbye:
            await self._socket.close()
        else:
            trouble.cut(self._request, dropped)

    @property
    def _task_id(self) -> str:
        return NO_TASK if self._task is None else self._task.directive.task_id

    async def _guarded(self, step: Awaitable[None], task_id: str) -> None:
        try:
            await step
        except Refusal as refusal:
            if self._task is not None:
                await self._task.abandon()
            await self.fail(task_id, refusal)
        except trouble.Dropped as dropped:
            await self.drop(dropped)

    async def _text(self, text: str) -> None:
        directive = parse(text)
        if directive.namespace in _UNBUILT:
            raise not_built(directive.namespace)
        if directive.namespace not in TASKS:
            raise Refusal(
                NAMESPACE_NOT_FOUND, f"Gateway:NAMESPACE_NOT_FOUND:Namespace '{directive.namespace}' not found!"
            )
        self._last_directive = directive.name
        self.gateway.project(directive.appkey)
        start, kind = TASKS[directive.namespace]
        if directive.name not in (start, kind.STOP, *kind.CONTROLS):
            raise Refusal(UNSUPPORTED_DIRECTIVE)
        if directive.name == start:
            if self._task is not None and self._task.at_work:
                raise Refusal(MESSAGE_INVALID, "Gateway:MESSAGE_INVALID:Can't process message in state'STARTED'!")
            self._task = kind(self, directive)
            await self._task.start()
        elif self._task is None or self._task.directive.namespace != directive.namespace:
            raise Refusal(TASK_STATE, NOT_WORKING)
        elif self._task.directive.task_id != directive.task_id:
            raise Refusal(MESSAGE_INVALID, f"Gateway:MESSAGE_INVALID:Invalid task id '{directive.task_id}'!")
        else:
            await self._task.directive_received(directive.name)

    async def _binary(self, data: bytes) -> None:
        if self._task is None:
            raise Refusal(TASK_STATE, NOT_WORKING)
        await self._task.audio_received(data)

    async def _judge_silence(self) -> None:
        now, limit = self.gateway.clock.now(), self.gateway.limits.idle_seconds
        task = self._task
        if task is not None and task.at_work:
            if task.waits_for_audio_since is None or now - task.waits_for_audio_since < limit:
                return
            refusal = task.audio_timeout(self._last_directive)
            await task.abandon()
        elif now - self._seen_at < limit:
            return
        else:
            refusal = idle(self._last_directive)
        await self.fail(self._task_id, refusal)
