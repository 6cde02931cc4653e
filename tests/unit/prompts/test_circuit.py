"""The circuit breaker: quick to stop asking, careful to begin again."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, cast

import pytest

from functions.prompts.circuit import FAILURES, Circuit, SpeechPaused
from isikit.errors import SpeechBusy, SpeechTextRefused, SpeechTokenRefused, SpeechUnavailable
from isikit.host.context import Deadline
from isikit.nls.synthesis import Pcm, Utterance
from isikit.nls.token import SpeechToken
from support.memory_store import MovableClock

SAID = Utterance("您好", False, "xiaoyun", 16000, 50, 0, 0, "key")
TOKEN = SpeechToken("token", 9e9)


class Service:
    """A speech service with a switch."""

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self.calls = 0
        self.error: Callable[[], Exception] | None = None
        self.gate: asyncio.Event | None = None

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error()
        return Pcm(b"\0\0", 16000)

    async def close(self) -> None: ...


class Caller:
    def __init__(self) -> None:
        self.clock = MovableClock()
        self.service = Service(self.clock)
        self.circuit = Circuit(cast(Any, self.service), clock=self.clock.now, pause=self._pause)
        self.pauses: list[float] = []

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def call(self, said: Utterance = SAID) -> str:
        try:
            await self.circuit.speak(said, TOKEN, Deadline.after(10))
        except SpeechPaused:
            return "paused"
        except Exception as error:  # noqa: BLE001 - whatever the service said
            return type(error).__name__
        return "spoken"

    async def down(self) -> None:
        self.service.error = SpeechUnavailable
        for _ in range(FAILURES):
            await self.call()


async def test_it_opens_after_five_failures_in_a_row_and_says_when_to_come_back() -> None:
    caller = Caller()
    await caller.down()
    assert await caller.call() == "paused"
    assert caller.service.calls == FAILURES
    with pytest.raises(SpeechPaused) as refused:
        caller.circuit.check()
    assert (refused.value.status, refused.value.retry_after, refused.value.retryable) == (503, 5, False)


async def test_a_success_in_between_keeps_it_closed() -> None:
    caller = Caller()
    for _ in range(3):
        caller.service.error = SpeechUnavailable
        for _ in range(FAILURES - 1):
            await caller.call()
        caller.service.error = None
        assert await caller.call() == "spoken"


@pytest.mark.parametrize("error", [SpeechBusy, SpeechTextRefused, SpeechTokenRefused])
async def test_what_is_refused_for_a_reason_never_opens_it(error: type[Exception]) -> None:
    caller = Caller()
    caller.service.error = error
    for _ in range(3 * FAILURES):
        assert await caller.call() == error.__name__


async def test_one_probe_goes_first_and_the_others_wait_for_its_outcome() -> None:
    caller = Caller()
    await caller.down()
    caller.clock.move(5)
    caller.service.calls, caller.service.gate, caller.service.error = 0, asyncio.Event(), None
    asked = [asyncio.create_task(caller.call()) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert caller.service.calls == 1
    caller.service.gate.set()
    assert await asyncio.gather(*asked) == ["spoken"] * 3


async def test_a_probe_that_fails_makes_the_pause_longer_up_to_half_a_minute() -> None:
    caller = Caller()
    await caller.down()
    for pause in (5, 10, 20, 30, 30):
        caller.clock.move(pause - 1)
        assert await caller.call() == "paused"
        caller.clock.move(1)
        assert await caller.call() == "SpeechUnavailable"


async def test_a_probe_whose_caller_went_away_proves_nothing_and_the_next_one_is_asked() -> None:
    caller = Caller()
    await caller.down()
    caller.clock.move(5)
    caller.service.gate = asyncio.Event()
    asked = asyncio.create_task(caller.call())
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait((asked,))
    caller.service.gate, caller.service.error = None, None
    assert await caller.call() == "spoken"


async def test_calls_that_hang_until_they_are_given_up_open_it() -> None:
    caller = Caller()
    caller.service.gate = asyncio.Event()
    for _ in range(FAILURES):
        asked = asyncio.create_task(caller.call())
        await asyncio.sleep(0)
        caller.clock.move(6)
        asked.cancel()
        await asyncio.wait((asked,))
    assert await caller.call() == "paused"


async def test_one_request_for_a_long_text_that_was_given_up_pauses_it_for_nobody_else() -> None:
    caller = Caller()
    caller.service.gate = asyncio.Event()
    long = dataclasses.replace(SAID, text="您好" * 150)
    pieces = [asyncio.create_task(caller.call(long)) for _ in range(FAILURES + 2)]
    await asyncio.sleep(0)
    caller.clock.move(10)  # the longest that callers wait unless they say so
    for piece in pieces:
        piece.cancel()
    await asyncio.gather(*pieces, return_exceptions=True)
    caller.service.gate = None
    assert await caller.call() == "spoken"


async def test_failures_of_calls_from_before_it_opened_do_not_make_the_pause_longer() -> None:
    caller = Caller()
    caller.service.gate, caller.service.error = asyncio.Event(), SpeechUnavailable
    asked = [asyncio.create_task(caller.call()) for _ in range(4 * FAILURES)]
    await asyncio.sleep(0)
    caller.service.gate.set()
    await asyncio.gather(*asked)
    caller.clock.move(5)
    caller.circuit.check()


async def test_after_ten_minutes_it_recovers_by_itself_with_at_most_twice_the_normal_rate() -> None:
    caller, waiting = Caller(), 0
    for _ in range(120):  # two a second, all served
        assert await caller.call() == "spoken"
        caller.clock.move(0.5)
    caller.service.error, caller.service.calls = SpeechUnavailable, 0
    for _ in range(1_200):
        waiting += await caller.call() != "spoken"  # everybody who was refused will be back
        caller.clock.move(0.5)
    assert caller.service.calls < 40  # 5, and a probe every half a minute
    caller.service.error, caller.service.calls = None, 0
    recovered_after, back_at = None, caller.clock.now()
    while caller.clock.now() - back_at < 600 and waiting:
        for _ in range(20):  # forty tries a second
            waiting -= await caller.call() == "spoken"
            waiting = max(0, waiting)
        if caller.service.calls and recovered_after is None:
            recovered_after = caller.clock.now() - back_at
            minute_ends = caller.clock.now() + 60
        if recovered_after is not None and caller.clock.now() <= minute_ends - 0.5:
            in_minute = caller.service.calls
        caller.clock.move(0.5)
    assert recovered_after is not None and recovered_after <= 30
    assert 120 <= in_minute <= 240
    assert waiting == 0


async def test_a_clock_that_was_set_back_does_not_keep_it_open() -> None:
    caller, now = Caller(), [1e9]
    caller.circuit = Circuit(cast(Any, caller.service), clock=lambda: now[0])
    await caller.down()
    now[0] -= 3_600
    caller.service.error = None
    assert await caller.call() == "spoken"
