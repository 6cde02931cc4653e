"""Counts every call that a scene makes to a store or to the recogniser, and strikes at the n-th.

A strike is an error (no answer came) or a death (the process is gone: until `revive`, nothing else happens either).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from isikit.errors import SpeechUnavailable
from isikit.nls.filetrans import SubmissionUnclear
from isikit.objects import ObjectStore
from support.memory_store import unanswered
from unit.transcripts.scene import Scene, Service

When = Literal["before", "after"]
Kind = Literal["error", "death"]

STORE_CALLS = ("head", "get", "tail", "put", "append", "delete", "copy", "list", "entries")


class Killed(BaseException):
    """The process died. Not an `Exception`: nothing in it could handle that."""


class _Wired:
    """The service's queue. Its client cannot tell a lost request from a lost answer: both submissions are unclear."""

    def __init__(self, wire: Tripwire, service: Service) -> None:
        self._wire, self._service = wire, service

    async def submit(self, *arguments: Any) -> Any:
        return await self._wire.call("submit", SubmissionUnclear, lambda: self._service.submit(*arguments))

    async def result(self, *arguments: Any) -> Any:
        return await self._wire.call("result", SpeechUnavailable, lambda: self._service.result(*arguments))


class Tripwire:
    """Strikes the n-th call from 1, before or after its effect. 0 only counts."""

    def __init__(self, scene: Scene) -> None:
        self.calls: list[str] = []
        self._at = 0
        self._when: When = "before"
        self._kind: Kind = "error"
        self._dead = False
        scene.wrap = self._wrapped
        self._recognise = scene.recognise
        scene.recognise = self._recognised  # type: ignore[assignment]
        scene.service_of = lambda service: _Wired(self, service)

    def arm(self, at: int, when: When, kind: Kind) -> None:
        """Strike at a call."""
        self._at, self._when, self._kind = at, when, kind

    def revive(self) -> None:
        """A new process, and no more strikes."""
        self._dead, self._at = False, 0

    async def _recognised(self, *arguments: Any) -> str:
        return await self.call("recognise", SpeechUnavailable, lambda: self._recognise(*arguments))

    def _wrapped(self, store: ObjectStore) -> ObjectStore:
        wire = self

        class Wired:
            def __getattr__(self, name: str) -> Any:
                inner = getattr(store, name)
                if name not in STORE_CALLS:
                    return inner

                async def call(*arguments: Any, **named: Any) -> Any:
                    return await wire.call(name, unanswered, lambda: inner(*arguments, **named))

                return call

        return Wired()  # type: ignore[return-value]

    async def call(self, name: str, error: Callable[[], BaseException], effect: Callable[[], Awaitable[Any]]) -> Any:
        """Make one call, or be struck."""
        if self._dead:
            raise Killed
        self.calls.append(name)
        struck = len(self.calls) == self._at
        if struck and self._when == "before":
            self._strike(error)
        answer = await effect()
        if struck:
            self._strike(error)
        return answer

    def _strike(self, error: Callable[[], BaseException]) -> None:
        if self._kind == "death":
            self._dead = True
            raise Killed
        raise error()
