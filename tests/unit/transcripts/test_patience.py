"""Recognition that waits out trouble, within its deadline."""

from __future__ import annotations

import contextlib

import pytest

from functions.transcripts.patience import TRIES, patiently
from functions.transcripts.recognise import Recognise
from isikit.errors import SpeechBusy, SpeechError, SpeechTokenRefused, SpeechUnavailable
from isikit.host.context import Deadline
from isikit.nls.token import SpeechToken


class Service:
    """The speech service and its tokens: fails with `errors` first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tokens: list[str] = []
        self.dropped: list[str] = []
        self.slept: list[float] = []

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        return SpeechToken(f"t{len(self.dropped)}", 0.0)

    def invalidate(self, token_id: str) -> None:
        self.dropped.append(token_id)

    async def once(self, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline) -> str:
        self.tokens.append(token.id)
        if self.errors:
            raise self.errors.pop(0)
        return "text"

    async def pause(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def recognise(self, seconds: float = 600) -> str:
        return await self.patient()(b"", 8000, "appkey", Deadline.after(seconds))

    def patient(self) -> Recognise:
        return patiently(self.once, self, pause=self.pause)


async def test_a_failure_that_may_pass_is_waited_for_and_tried_again() -> None:
    service = Service(SpeechUnavailable(), SpeechUnavailable())
    assert await service.recognise() == "text"
    assert len(service.tokens) == 3
    assert all(seconds > 0 for seconds in service.slept)


async def test_a_place_at_a_busy_service_is_waited_for_as_long_as_there_is_time() -> None:
    service = Service(*(SpeechBusy() for _ in range(50)))
    assert await service.recognise() == "text"
    assert len(service.slept) == 50
    assert max(service.slept) <= 10.0


async def test_a_service_that_stays_busy_to_the_end_may_be_asked_again_by_the_next_attempt() -> None:
    service = Service(*(SpeechBusy() for _ in range(50)))
    with pytest.raises(SpeechBusy) as raised:
        await service.recognise(0.2)
    assert raised.value.retryable


async def test_trouble_that_lasts_is_raised_in_the_end() -> None:
    service = Service(*(SpeechUnavailable() for _ in range(100)))
    with pytest.raises(SpeechUnavailable):
        await service.recognise()
    assert len(service.tokens) == TRIES


async def test_what_is_refused_for_good_is_asked_once() -> None:
    service = Service(SpeechError(code="nls.appkey_unknown"))
    with pytest.raises(SpeechError):
        await service.recognise()
    assert len(service.tokens) == 1


async def test_a_refused_token_is_dropped_and_a_new_one_tried() -> None:
    service = Service(SpeechTokenRefused())
    assert await service.recognise() == "text"
    assert (service.tokens, service.dropped) == (["t0", "t1"], ["t0"])


async def test_a_second_token_refused_ends_the_attempt_and_may_be_asked_again_by_the_next() -> None:
    service = Service(SpeechTokenRefused(), SpeechTokenRefused(), SpeechTokenRefused())
    with pytest.raises(SpeechTokenRefused) as raised:
        await service.recognise()
    assert raised.value.retryable
    assert (service.tokens, service.dropped) == (["t0", "t1"], ["t0", "t1"])


async def test_retries_are_at_most_a_tenth_of_many_calls_and_waiting_for_a_place_is_none() -> None:
    service = Service()
    recognise = service.patient()
    calls = 200
    for number in range(calls):
        service.errors = [SpeechBusy(), SpeechBusy()] if number % 2 else [SpeechUnavailable() for _ in range(TRIES)]
        with contextlib.suppress(SpeechUnavailable):
            await recognise(b"", 8000, "appkey", Deadline.after(600))
    waited = 2 * calls // 2
    assert len(service.tokens) - calls - waited <= 10 + calls / 10
    assert len(service.tokens) - calls - waited >= calls / 10


async def test_no_pause_outlasts_the_deadline() -> None:
    service = Service(*(SpeechUnavailable() for _ in range(100)))
    with pytest.raises(SpeechUnavailable):
        await service.recognise(1.0)
    assert service.slept == []
