"""Run coroutines by hand, one step at a time, so that a test decides (or enumerates) who goes when and who dies."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Stand still until somebody calls `step`. What `MemoryStore.turn` awaits before and after every effect."""
    yield


class Stepped(Generic[T]):
    """A coroutine that only awaits `turn`."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.coroutine = coroutine
        self.alive = True
        self.result: T | None = None

    def step(self) -> None:
        """Go on to the next turn, or to the end."""
        assert self.alive
        try:
            self.coroutine.send(None)
        except StopIteration as stop:
            self.alive, self.result = False, stop.value

    def kill(self) -> None:
        """As a process dies: nothing more is written, and nothing is given back."""
        self.alive = False
        self.coroutine.close()
