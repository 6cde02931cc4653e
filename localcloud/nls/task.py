"""What every task of a conversation has in common: its place in the quota, its state, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from localcloud.faults import Fault
from localcloud.nls import trouble
from localcloud.nls.messages import Directive
from localcloud.nls.status import IDLE_TIMEOUT, NOT_WORKING, TASK_STATE, Refusal, not_built

if TYPE_CHECKING:
    from localcloud.nls.websocket import Conversation


def idle(last_directive: str) -> Refusal:
    """40000004 with the name of the last directive."""
    words = f"Websocket session is idle for too long time, the last directive is '{last_directive}'!"
    return Refusal(IDLE_TIMEOUT, f"Gateway:IDLE_TIMEOUT:{words}")


class Task:
    """One task: from its Start directive until it completed, failed or was abandoned.

    A place of the service's quota is held from `take_place` to the end.
    """

    STOP: ClassVar[str] = ""
    CONTROLS: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, conversation: Conversation, directive: Directive) -> None:
        self.conversation = conversation
        self.gateway = conversation.gateway
        self.directive = directive
        self.fault: Fault | None = None
        self.at_work = False
        self.waits_for_audio_since: float | None = None
        self._held = ExitStack()
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check the request and begin, or raise `Refusal`."""
        raise NotImplementedError

    async def directive_received(self, name: str) -> None:
        """A further directive of this task: its Stop, or a control that is not built."""
        if name in self.CONTROLS:
            raise not_built(name)
        if self.at_work and self.waits_for_audio_since is None:
            raise Refusal(TASK_STATE, "Gateway:TASK_STATE_ERROR:Got stop directive while task is stopping!")
        if not self.at_work:
            raise Refusal(TASK_STATE, NOT_WORKING)
        self.waits_for_audio_since = None
        await self.stop_received()

    async def stop_received(self) -> None:
        """The client's Stop directive, the first one."""
        raise NotImplementedError

    async def audio_received(self, data: bytes) -> None:
        """A binary frame."""
        raise Refusal(TASK_STATE, NOT_WORKING)

    def audio_timeout(self, last_directive: str) -> Refusal:
        """What the service says when no audio came for too long."""
        return idle(last_directive)

    async def abandon(self) -> None:
        """Stop whatever goes on and give the place back. May be called at any time, also twice."""
        self.finish()
        work, self._work = self._work, None
        if work is not None and work is not asyncio.current_task():
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    def begin(self, operation: str, subject: str) -> None:
        """Count the Start directive and note the fault that strikes it; `error` and `drop` before it are raised."""
        self.fault = trouble.begin(self.gateway.faults, operation, subject)
        trouble.strike(self.fault, "before")

    def take_place(self, service: str) -> None:
        """Hold a place of the quota until the end, or raise 40000005."""
        self._held.enter_context(self.gateway.quotas.slot(service))
        self.at_work = True

    def finish(self) -> None:
        """The task is over: give the place back."""
        self.at_work = False
        self.waits_for_audio_since = None
        self._held.close()

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` beside the reader; what it raises fails the task."""
        self._work = asyncio.create_task(self._guarded(work))

    async def tell(self, name: str, payload: dict[str, object] | None = None) -> None:
        """Send an event of this task."""
        await self.conversation.send_event(self.directive, name, payload, self.fault)

    async def wait_for_ever(self) -> None:
        """What `never_complete` does: nothing, until the client leaves or the service stops."""
        await self.gateway.closing.wait()

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Refusal as refusal:
            self.finish()
            await self._quietly(self.conversation.fail(self.directive.task_id, refusal))
        except trouble.Dropped as dropped:
            self.finish()
            await self._quietly(self.conversation.drop(dropped))
        except ConnectionResetError:  # the client left; the reader sees it too
            pass
        finally:
            self.finish()

    async def _quietly(self, last_words: Coroutine[Any, Any, None]) -> None:
        with suppress(ConnectionResetError):
            await last_words
