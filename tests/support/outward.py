"""Every call that an instance makes outward, in order; one of them fails, or the instance dies in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from isikit.errors import IsiError, SpeechUnavailable, TokenError
from isikit.host.context import Deadline
from isikit.nls.synthesis import Pcm, Utterance
from isikit.nls.token import SpeechToken
from isikit.objects import Stores
from support.memory_store import unanswered

T = TypeVar("T")
Kind = Literal["fault", "kill"]
When = Literal["before", "after"]
_OPERATIONS = ("head", "get", "tail", "put", "append", "delete", "copy", "list")


@dataclass
class Outward:
    """What one instance does to the world.

    Attributes
    ----------
    nth
        Which call is struck, from 1 on; 0 is none.
    when
        Before it took effect, or after it did but unanswered.
    error
        Makes the error from the call's name; the usual one of a lost connection when left out.
    calls
        The names of all calls so far: `prompts.put p/...`, `speech`, `token`, `later`.
    died
        Set when it was killed. From then on nothing it does has an effect, and nothing it waits for comes.
    buried
        To be set by the test, which then waits for the end of what the dead had under way.
    """

    nth: int = 0
    kind: Kind = "fault"
    when: When = "before"
    error: Callable[[str], BaseException] | None = None
    calls: list[str] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    buried: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def struck(self) -> bool:
        """Whether the call that was to be struck came."""
        return 0 < self.nth <= len(self.calls)

    async def call(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        """Make one call, unless it is the one."""
        await self._hold()
        self.calls.append(name)
        is_struck = len(self.calls) == self.nth
        if is_struck and self.when == "before":
            await self._strike(name)
        result = await effect()
        if is_struck:
            await self._strike(name)
        await self._hold()
        return result

    async def _strike(self, name: str) -> None:
        if self.kind == "fault":
            raise (self.error or lost)(name)
        self.died.set()
        await self._hold()

    async def _hold(self) -> None:
        """The dead wait; once `buried`, their tasks end without having done anything more."""
        if self.died.is_set():
            await self.buried.wait()
            raise asyncio.CancelledError

    def stores(self, stores: Stores) -> Stores:
        """The buckets as this instance reaches them."""
        prompts, state = (_Bucket(name, getattr(stores, name), self) for name in ("prompts", "state"))
        return Stores(prompts, stores.recordings, state)  # type: ignore[arg-type]


def lost(name: str) -> IsiError:
    """A connection that broke: it may or may not have happened."""
    if name == "speech":
        error: IsiError = SpeechUnavailable("no answer", code="nls.connection_lost")
        error.retry_after = None
        return error
    return TokenError("no answer") if name == "token" else unanswered()


class _Bucket:
    def __init__(self, name: str, store: Any, outward: Outward) -> None:
        self._name, self._store, self._outward = name, store, outward

    def __getattr__(self, operation: str) -> Any:
        if operation not in _OPERATIONS:
            raise AttributeError(operation)

        async def call(*arguments: Any, **options: Any) -> Any:
            name = f"{self._name}.{operation} {str(arguments[0]).partition('/')[0]}"
            return await self._outward.call(name, lambda: getattr(self._store, operation)(*arguments, **options))

        return call


@dataclass
class OutwardSpeaker:
    """A speaker whose calls are counted."""

    speaker: Any
    outward: Outward

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """See `Speaker.speak`."""
        return await self.outward.call("speech", lambda: self.speaker.speak(utterance, token, deadline))

    async def close(self) -> None:
        """See `Speaker.close`."""


@dataclass
class OutwardTokens:
    """Tokens whose fetching is counted."""

    tokens: Any
    outward: Outward

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        return await self.outward.call("token", lambda: self.tokens.fetch(deadline))


@dataclass
class OutwardLater:
    """Self-invocation whose calls are counted; as the real one it answers False where it failed."""

    later: Any
    outward: Outward

    async def make(self, *arguments: Any) -> bool:
        """See `Later.make`."""
        try:
            return await self.outward.call("later", lambda: self.later.make(*arguments))
        except IsiError:
            return False
