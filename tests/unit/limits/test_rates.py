"""Rates in memory, and what the caller is told."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from limits.aio.storage import MemoryStorage
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from isikit.errors import LimitError
from isikit.host import json_response, make_app
from isikit.limits import Limits, Rate
from isikit.limits.admission import DEFAULT_RATES
from isikit.limits.rates import MemoryRates
from isikit.limits.windows import Counter
from isikit.tenants import Tenant
from support.asgi import call
from support.memory_store import MemoryStore, MovableClock

ACME = Tenant(id="acme", rates={"prompts": "3/hour"}, quotas={"leases": 2})
OTHER = Tenant(id="other")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    """The clock that the library reads: it must not reach the end of a window in the middle of a test."""
    clock = MovableClock(1_700_000_010.0)
    monkeypatch.setattr("time.time", clock.now)
    return clock


async def test_so_many_requests_are_admitted_and_not_one_more() -> None:
    limits = Limits(MemoryStore())
    for _ in range(3):
        await limits.admit(ACME, "prompts")
    with pytest.raises(LimitError) as refused:
        await limits.admit(ACME, "prompts")
    assert (refused.value.code, refused.value.status) == ("limit.rate", 429)
    assert 1 <= (refused.value.retry_after or 0) <= 3600


async def test_a_window_that_is_over_leaves_room_again(now: MovableClock) -> None:
    rates = MemoryRates()

    async def hit() -> bool:
        return (await rates.hit("acme", "prompts", Rate(2, 60)))[0]

    assert [await hit() for _ in range(3)] == [True, True, False]
    now.move(120)  # both windows that count have passed
    assert [await hit() for _ in range(3)] == [True, True, False]


async def test_retry_after_is_when_the_next_request_is_admitted(now: MovableClock) -> None:
    rates = MemoryRates()
    refusals = 0
    for _ in range(40):
        admitted, allowance = await rates.hit("acme", "prompts", Rate(3, 60))
        if not admitted:
            refusals += 1
            now.move(allowance.reset_seconds)
            assert (await rates.hit("acme", "prompts", Rate(3, 60)))[0]
    assert refusals > 3


async def test_what_is_left_is_what_the_library_says_of_the_same_requests(now: MovableClock) -> None:
    theirs, ours, rate = Counter(MemoryStorage()), MemoryRates(), Rate(7, 10)
    for step in range(120):
        now.move((0.3, 0.9, 2.7, 11.0, 0.1)[step % 5])
        assert await ours.hit("acme", "prompts", rate) == await theirs.hit("acme", "prompts", rate)


async def test_tenants_and_rates_do_not_use_up_each_others() -> None:
    limits = Limits(MemoryStore(), defaults={**DEFAULT_RATES, "leases": Rate(1, 3600)})
    for _ in range(3):
        await limits.admit(ACME, "prompts")
    await limits.admit(ACME, "leases")
    await limits.admit(OTHER, "leases")
    with pytest.raises(LimitError):
        await limits.admit(OTHER, "leases")


async def test_a_changed_rate_holds_from_the_next_request_on() -> None:
    limits = Limits(MemoryStore())
    for _ in range(3):
        await limits.admit(ACME, "prompts")
    await limits.admit(Tenant(id="acme", rates={"prompts": "4/hour"}), "prompts")


def _app(limits: Limits, does: Callable[[Limits], Awaitable[None]]) -> ASGIApp:
    async def endpoint(_: Request) -> Response:
        await does(limits)
        return json_response({})

    return make_app([Route("/x", endpoint)])


async def test_every_answer_says_what_is_left() -> None:
    app = _app(Limits(MemoryStore()), lambda limits: limits.admit(ACME, "prompts"))
    answers = [await call(app, "GET", "/x") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    for answer in answers:
        assert answer.headers["ratelimit-limit"] == "3"
        assert answer.headers["ratelimit-policy"] == "3;w=3600"
        assert 1 <= int(answer.headers["ratelimit-reset"]) <= 3600
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert json.loads(refused.body)["code"] == "limit.rate"


async def test_a_used_up_quota_says_when_the_day_ends() -> None:
    async def both(limits: Limits) -> None:
        await limits.admit(ACME, "leases")
        await limits.spend(ACME, "leases", 1)

    app = _app(Limits(MemoryStore()), both)
    answers = [await call(app, "GET", "/x") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-limit"] == "20"  # the rate: nothing is known of the quota over all instances
    refused = answers[-1]
    assert json.loads(refused.body)["code"] == "limit.quota"
    assert refused.headers["ratelimit-policy"] == "2;w=86400"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]


async def test_each_refusal_is_one_line_for_the_audit(capsys: pytest.CaptureFixture[str]) -> None:
    limits = Limits(MemoryStore())
    for _ in range(5):
        try:
            await limits.admit(ACME, "prompts")
        except LimitError:
            continue
    with pytest.raises(LimitError):
        await limits.spend(ACME, "leases", 3)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    refusals = [line for line in lines if line["event"] == "limit.refused"]
    assert [(line["reason"], line["limit"]) for line in refusals] == [
        ("limit.rate", "prompts"),
        ("limit.rate", "prompts"),
        ("limit.quota", "leases"),
    ]
