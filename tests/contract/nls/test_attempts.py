"""The layer that tries again, over both transports: tokens, patience, and no more tries than make sense."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import pytest

from contract.nls.conftest import TEXT, Service
from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.errors import SpeechBusy, SpeechTextRefused, SpeechTokenRefused, SpeechUnavailable
from isikit.host.context import Deadline
from isikit.nls.attempts import with_token
from isikit.nls.synthesis import Pcm, Speaker, speak_with_retry
from isikit.nls.token import SpeechToken, TokenSource
from isikit.retry import RetryBudget


class Issuer:
    """Issues tokens of the account without the token API; the first may be bad."""

    def __init__(self, service: Service, *bad: str) -> None:
        self.service, self.bad, self.issued = service, list(bad), 0

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        self.issued += 1
        if self.bad:
            return SpeechToken(self.bad.pop(0), time.time() + 3600)
        return self.service.token()


def source(issuer: Issuer) -> TokenSource:
    return TokenSource(cast(Settings, SimpleNamespace()), Credentials({}), fetcher=issuer)


async def speak(service: Service, speaker: Speaker, issuer: Issuer, seconds: float = 20, **changes: object) -> Pcm:
    return await speak_with_retry(
        speaker,
        service.utterance(**changes),  # type: ignore[arg-type]
        source(issuer),
        Deadline.after(seconds),
        budget=RetryBudget(),
    )


def wire(transport: str) -> str:
    return "nls.tts.rest" if transport == "rest" else "nls.tts.ws"


async def test_a_refused_token_is_replaced_once(service: Service, speaker: Speaker) -> None:
    issuer = Issuer(service, "0" * 32)
    pcm = await speak(service, speaker, issuer)
    assert await service.engine.recognise(pcm.samples, 16000) == TEXT
    assert (issuer.issued, service.count("nls.synthesis")) == (2, 1)


async def test_a_token_that_is_refused_again_is_an_error(service: Service, speaker: Speaker) -> None:
    issuer = Issuer(service, *["0" * 32] * 9)
    with pytest.raises(SpeechTokenRefused) as caught:
        await speak(service, speaker, issuer)
    assert issuer.issued == 2
    assert caught.value.retryable, "a later request may get a better one"


async def test_a_busy_service_is_waited_for(service: Service, speaker: Speaker, transport: str) -> None:
    service.faults.arm(operation=wire(transport), action="error", code="40000005", times=3)
    pcm = await speak(service, speaker, Issuer(service))
    assert await service.engine.recognise(pcm.samples, 16000) == TEXT
    assert service.count("nls.synthesis") == 1


async def test_a_busy_service_is_not_waited_for_beyond_the_deadline(
    service: Service, speaker: Speaker, transport: str
) -> None:
    service.faults.arm(operation=wire(transport), action="error", code="40000005", times=99)
    began = time.monotonic()
    with pytest.raises(SpeechBusy):
        await speak(service, speaker, Issuer(service), seconds=1.5)
    assert time.monotonic() - began < 1.6
    assert 2 <= service.count(wire(transport)) <= 6


@pytest.mark.parametrize(
    "fault",
    [{"action": "error", "code": "51020001"}, {"action": "drop_after_bytes", "value": "20000"}, {"action": "drop"}],
    ids=lambda fault: fault["action"],
)
async def test_a_failure_is_tried_once_more(
    fault: dict[str, str], service: Service, speaker: Speaker, transport: str
) -> None:
    service.faults.arm(operation=wire(transport), **fault)
    pcm = await speak(service, speaker, Issuer(service))
    assert await service.engine.recognise(pcm.samples, 16000) == TEXT


async def test_a_second_failure_is_the_answer(service: Service, speaker: Speaker, transport: str) -> None:
    service.faults.arm(operation=wire(transport), action="drop_after_bytes", value="20000", times=9)
    with pytest.raises(SpeechUnavailable):
        await speak(service, speaker, Issuer(service))
    assert service.count("nls.synthesis") == 2


async def test_what_will_never_work_is_tried_once(service: Service, speaker: Speaker, transport: str) -> None:
    with pytest.raises(SpeechTextRefused):
        await speak(service, speaker, Issuer(service), voice="nobody")
    assert service.count(wire(transport)) == 1


async def test_the_budget_ends_retries_but_not_patience() -> None:
    pauses: list[float] = []
    outcomes: list[Callable[[], Exception | None]] = [
        lambda: SpeechBusy(),
        lambda: SpeechBusy(),
        lambda: SpeechUnavailable(),
        lambda: None,
    ]

    async def call(token: SpeechToken) -> str:
        error = outcomes.pop(0)()
        if error is not None:
            raise error
        return "done"

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def run(budget: RetryBudget) -> str:
        return await with_token(
            call,
            operation="nls.synthesis",
            tokens=cast(TokenSource, SimpleNamespace(get=_any_token, invalidate=None)),
            deadline=Deadline.after(60),
            budget=budget,
            sleep=cast(Callable[[float], Awaitable[object]], sleep),
        )

    with pytest.raises(SpeechUnavailable):
        await run(RetryBudget(reserve=0.0))
    assert len(pauses) == 2
    assert 0.15 <= pauses[0] <= 0.3 <= pauses[1] <= 0.6


async def test_who_has_time_may_wait_longer_and_try_more_often() -> None:
    pauses: list[float] = []
    lives: list[int] = []
    failures = [SpeechBusy, SpeechBusy, SpeechBusy, *[SpeechUnavailable] * 7]
    tries = len(failures) - 2  # a place at a busy service is waited for within one

    async def call(token: SpeechToken) -> str:
        if failures:
            raise failures.pop(0)()
        return "done"

    async def get(min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        lives.append(min_life_seconds)
        return await _any_token(min_life_seconds, deadline)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    said = await with_token(
        call,
        operation="nls.recognition",
        tokens=cast(TokenSource, SimpleNamespace(get=get, invalidate=None)),
        deadline=Deadline.after(600),
        budget=RetryBudget(),
        attempts=tries,
        first_pause_seconds=4.0,
        longest_pause_seconds=8.0,
        min_life_seconds=120,
        sleep=sleep,
    )
    assert (said, set(lives)) == ("done", {120})
    assert 2 <= pauses[0] <= 4 <= pauses[1] <= 8
    assert 4 <= pauses[2] <= 8
    assert len(pauses) == 10


async def _any_token(min_life_seconds: int, deadline: Deadline) -> SpeechToken:
    return SpeechToken("0" * 32, time.time() + 3600)
