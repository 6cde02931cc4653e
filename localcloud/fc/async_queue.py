"""Asynchronous invocations: accepted at once, run later, retried, and given up.

A function error is retried `maxAsyncRetryAttempts` times (0 to 8, default 3) within `maxAsyncEventAgeInSeconds`
(default 86,400). Throttling (429) waits for its turn within the same age. What the platform itself fails at, such as an
instance that cannot be started, is not retried: the page of 2026-04 says so, older ones say otherwise, and the unkind
reading is the one to be ready for.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.fc.errors import FcError
from localcloud.fc.headers import Invocation
from localcloud.fc.invoke import Outcome

DEFAULT_RETRIES = 3
DEFAULT_AGE_SECONDS = 86_400
PARALLEL = 8  # of one function; the cloud raises it as the queue grows
_REORDER_SECONDS = 5.0

Run = Callable[[Invocation], Awaitable[Outcome]]


@dataclass(slots=True)
class AsyncTask:
    """One accepted invocation. `state` is one of the API's: Enqueued, Running, Retrying, Succeeded, Failed, Expired."""

    request_id: str
    function: str
    qualifier: str
    accepted_at: float
    run: Run = field(repr=False)
    task_id: str = ""
    payload: bytes = field(default=b"", repr=False)
    attempts: int = 0
    state: str = "Enqueued"


class AsyncQueue:
    """Runs accepted invocations in the background.

    Parameters
    ----------
    now
        The services' clock, in epoch seconds; the age of an event is judged by it.
    settings
        The async configuration of (function, qualifier), `{}` when there is none.
    begin_fault
        Counts an accepted invocation of a function and returns the fault that strikes it: `lose`, `duplicate`,
        `delay` (by `seconds`) or `reorder` (after the next one of the function).
    deliver
        Called with a finished task, its condition (an error code, empty on success) and its outcome, if it has one.
    retry_seconds
        The first pause before a retry; each further one is twice as long.
    """

    def __init__(
        self,
        now: Callable[[], float],
        settings: Callable[[str, str], dict[str, Any]],
        begin_fault: Callable[[str], Any],
        tell: Callable[..., None],
        deliver: Callable[[AsyncTask, str, Outcome | None], None],
        *,
        retry_seconds: float = 1.0,
    ) -> None:
        self.finished: deque[AsyncTask] = deque(maxlen=1000)
        self._now = now
        self._settings = settings
        self._begin_fault = begin_fault
        self._tell = tell
        self._deliver = deliver
        self._retry_seconds = retry_seconds
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: Counter[str] = Counter()

    def submit(
        self, function: str, qualifier: str, run: Run, request_id: str, task_id: str = "", payload: bytes = b""
    ) -> AsyncTask:
        """Accept an invocation; `run` makes one attempt, `payload` is shown to the destination."""
        task = AsyncTask(request_id, function, qualifier, self._now(), run, task_id, payload)
        fault = self._begin_fault(function)
        action = fault.action if fault is not None else ""
        overtaking = self._held.pop(function, asyncio.Event())  # who is held lets this one pass first
        if action == "lose":
            self._tell("async.lost", function=function, request_id=request_id)
            overtaking.set()
            return task
        hold: Awaitable[Any] | None = None
        if action == "delay":
            hold = asyncio.sleep(fault.seconds)
        elif action == "reorder":
            overtaken = self._held[function] = asyncio.Event()
            hold = asyncio.wait([asyncio.ensure_future(overtaken.wait())], timeout=fault.seconds or _REORDER_SECONDS)
        self._spawn(self._process(task, hold, overtaking))
        if action == "duplicate":
            again = AsyncTask(request_id, function, qualifier, self._now(), run, task_id, payload)
            self._spawn(self._process(again, None, overtaking))
        return task

    def depth(self) -> dict[str, int]:
        """Invocations accepted and not finished, by function."""
        return {function: count for function, count in self._waiting.items() if count}

    async def close(self) -> None:
        """Drop what is not finished."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _process(self, task: AsyncTask, hold: Awaitable[Any] | None, overtaking: asyncio.Event) -> None:
        self._waiting[task.function] += 1
        try:
            if hold is not None:
                await hold
            condition, outcome = await self._attempt_until_done(task)
        finally:
            self._waiting[task.function] -= 1
            overtaking.set()
        self._tell(
            "async.finished",
            function=task.function,
            request_id=task.request_id,
            state=task.state,
            attempts=task.attempts,
            condition=condition,
        )
        self.finished.append(task)
        self._deliver(task, condition, outcome)

    async def _attempt_until_done(self, task: AsyncTask) -> tuple[str, Outcome | None]:
        settings = self._settings(task.function, task.qualifier)
        retries = settings.get("maxAsyncRetryAttempts")
        retries = DEFAULT_RETRIES if retries is None else retries
        expires_at = task.accepted_at + (settings.get("maxAsyncEventAgeInSeconds") or DEFAULT_AGE_SECONDS)
        pause = self._retry_seconds
        failures = 0
        while True:
            if self._now() >= expires_at:
                task.state = "Expired"
                return "EventAgeExceeded", None
            task.state = "Retrying" if task.attempts else "Running"
            outcome: Outcome | None = None
            try:
                async with self._slots.setdefault(task.function, asyncio.Semaphore(PARALLEL)):
                    task.attempts += 1
                    outcome = await task.run(Invocation(task.request_id, task.qualifier, failures, kind="Async"))
            except FcError as error:
                if error.status != 429:
                    task.state = "Failed"
                    return error.code, None
            if outcome is not None:
                if not outcome.error_type:
                    task.state = "Succeeded"
                    return "", outcome
                failures += 1
                if failures > retries:
                    task.state = "Failed"
                    return outcome.error_type, outcome
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60.0)
