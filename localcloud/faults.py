"""Faults on demand, and the count of what really happened.

A fault strikes the n-th matching call of an operation, before it takes effect or after it did but unanswered.
Counters say how many calls were received and how many units were really spent: they are the truth that tests and
bills are held against.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SERVICES = ("oss", "nls", "pop", "filetrans", "fc", "sls")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Fault:
    """One armed fault.

    Parameters
    ----------
    operation
        For example `oss.PutObject` or `nls.tts.rest`; `oss.*` is all that begin so.
    when
        `before` the call takes effect, or `after` it did (the answer is lost).
    action
        `error` (the service's own refusal, see `status`/`code`), `drop` (connection closed without an answer),
        `delay` (`seconds`, then normal), or an action that only one service knows (`never_complete`, ...).
    nth
        Strike from the n-th matching call on (1 = the next one), `times` times. With `rate`, by chance instead.
    """

    operation: str
    when: str = "before"
    action: str = "error"
    nth: int = 1
    times: int = 1
    rate: float | None = None
    seed: int = 0
    status: int = 500
    code: str = ""
    seconds: float = 0.0
    subject: str = ""
    value: str = ""
    seen: int = 0
    struck: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self.chance.seed(self.seed)

    def fits(self, operation: str) -> bool:
        """Whether this fault is for that operation."""
        return operation == self.operation or (self.operation[-1:] == "*" and operation.startswith(self.operation[:-1]))

    def strikes(self) -> bool:
        """Count one matching call and say whether it is hit."""
        self.seen += 1
        if self.rate is not None:
            hit = self.chance.random() < self.rate
        else:
            hit = self.nth <= self.seen < self.nth + self.times
        self.struck += hit
        return hit


FAULT = web.RequestKey("fault", Fault)
"""Where the middleware leaves the fault that strikes a request."""


class Faults:
    """Armed faults and counters of one localcloud; safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._counts: Counter[str] = Counter()

    def begin(
        self,
        operation: str,
        subject: str | None = "",
        *,
        only: Callable[[Fault], bool] | None = None,
        counted: bool = True,
    ) -> Fault | None:
        """Count a call and return the fault that strikes it, if any.

        Parameters
        ----------
        subject
            What a fault's `subject` is looked for in; `None` when it is not known yet, so that every fault fits.
        only
            Says which faults belong to this moment of a call that has several (a handshake, then a task); the others
            neither see it nor strike it.
        counted
            False for a moment that is not a call of its own.
        """
        with self._lock:
            if counted:
                self._counts[operation] += 1
            for fault in self._armed:
                fits = fault.fits(operation) and (subject is None or fault.subject in subject)
                if fits and (only is None or only(fault)) and fault.strikes():
                    return fault
        return None

    def add(self, counter: str, amount: int = 1) -> None:
        """Count units that are not calls: characters, audio milliseconds, syntheses really started."""
        with self._lock:
            self._counts[counter] += amount

    def counters(self) -> dict[str, int]:
        """A copy of all counts."""
        with self._lock:
            return dict(self._counts)

    def arm(self, **settings: Any) -> Fault:
        """Arm a fault; unknown settings raise `TypeError` and unknown phases `ValueError`."""
        fault = Fault(**settings)
        if fault.when not in ("before", "after"):
            raise ValueError("when is `before` or `after`")
        if any(type(count) is not int or count < 1 for count in (fault.nth, fault.times)):
            raise ValueError("nth and times are whole numbers from 1 on")
        if fault.rate is not None and not 0 <= fault.rate <= 1:
            raise ValueError("rate is between 0 and 1")
        with self._lock:
            self._armed.append(fault)
        return fault

    def disarm(self) -> None:
        """Drop all faults; counters stay."""
        with self._lock:
            self._armed.clear()

    def middleware(
        self,
        operation_of: Callable[[web.Request], tuple[str, str]],
        refuse: Callable[[web.Request, Fault], web.Response],
    ) -> Any:
        """An aiohttp middleware for plain HTTP services.

        `operation_of` names (operation, subject) of a request; `refuse` renders the service's own error.
        Actions beyond `error`, `drop` and `delay` are left in `request[FAULT]` for the handler.
        """

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            operation, subject = operation_of(request)
            fault = self.begin(operation, subject)
            if fault is None:
                return await handler(request)
            request[FAULT] = fault
            if fault.action == "delay":
                await asyncio.sleep(fault.seconds)
                return await handler(request)
            if fault.when == "after":
                response = await handler(request)
                if fault.action not in ("drop", "error"):
                    return response
            if fault.action == "error":
                return refuse(request, fault)
            if fault.action == "drop":
                if request.transport is not None:
                    request.transport.abort()
                raise asyncio.CancelledError
            return await handler(request)

        return middleware
