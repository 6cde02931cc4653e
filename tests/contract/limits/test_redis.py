"""Rates in a real Redis: over all instances, and when it is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from isikit.config import Settings
from isikit.errors import LimitError
from isikit.limits import LimitsUnavailable, Rate, from_settings, shared_rates, windows
from isikit.limits.shared_rates import ATTEMPT_SECONDS, ATTEMPTS, BREAK_SECONDS, SharedRates
from isikit.tenants import Tenant
from support.memory_store import MemoryStore, MovableClock

RATE = Rate(10, 3600)
RATES = {f"rate_{name}": "1000/second" for name in ("leases", "uploads", "prompts", "jobs", "recognitions")}

Made = Callable[..., SharedRates]


@pytest.fixture
async def instance(redis_server: Any) -> AsyncIterator[Made]:
    """Makes instances that share the server."""
    made: list[SharedRates] = []

    def make(**settings: Any) -> SharedRates:
        made.append(SharedRates(redis_server.url, **settings))
        return made[-1]

    yield make
    redis_server.thaw()
    for each in made:
        await each.close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how long one look at Redis takes at most. Long at first: the machine's other work shall not decide."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(shared_rates, "ATTEMPT_SECONDS", seconds)

    set_to(10.0)
    return set_to


@pytest.fixture
def away(redis_server: Any, patience: Callable[[float], None]) -> Callable[[str], None]:
    """Lets the server stop or freeze; from then on looks take as long as in a deployment."""

    def go(how: str) -> None:
        getattr(redis_server, how)()
        patience(ATTEMPT_SECONDS)

    return go


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for every look at Redis, so that waiting is counted and not timed."""
    real, made = windows.Counter.hit, []

    async def hit(self: windows.Counter, tenant_id: str, name: str, rate: Rate) -> Any:
        made.append(tenant_id)
        return await real(self, tenant_id, name, rate)

    monkeypatch.setattr(windows.Counter, "hit", hit)
    return made


async def admitted(rates: SharedRates, rate: Rate = RATE, tenant: str = "acme") -> bool:
    return (await rates.hit(tenant, "prompts", rate))[0]


async def admitted_alone(rates: SharedRates) -> int:
    """How many are let through of more than there is room for."""
    return sum([await admitted(rates) for _ in range(15)])


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]


async def test_two_instances_share_one_rate(instance: Made) -> None:
    first, second = instance(), instance()
    answers = [await admitted(each) for _ in range(8) for each in (first, second)]
    assert sum(answers) == 10
    assert await admitted(second, tenant="other")


async def test_a_rush_over_eight_instances_is_let_through_exactly_to_the_limit(instance: Made) -> None:
    rate = Rate(60, 3600)
    warm = [instance() for _ in range(8)]
    for each in warm:
        await each.hit("nobody", "prompts", rate)
    answers = await asyncio.gather(*(admitted(each, rate) for each in warm for _ in range(25)))
    assert sum(answers) == 60


async def test_the_remainder_is_that_of_all_instances(instance: Made) -> None:
    first, second = instance(), instance()
    await admitted(first)
    _, allowance = await second.hit("acme", "prompts", RATE)
    assert (allowance.limit, allowance.remaining, allowance.window_seconds) == (10, 8, 3600)
    assert 1 <= allowance.reset_seconds <= 3601


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_when_redis_goes_away_open_instances_count_for_themselves(
    instance: Made, how: str, away: Callable[[str], None], looks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rates = instance(clock=MovableClock().now)
    for _ in range(10):
        assert await admitted(rates)
    away(how)
    looks.clear()
    assert await admitted_alone(rates) == 10
    assert len(looks) == ATTEMPTS  # only the first one waited
    assert events(capsys) == ["redis.unreachable"]


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_when_redis_goes_away_closed_instances_refuse(
    instance: Made, how: str, away: Callable[[str], None], looks: list[str]
) -> None:
    rates = instance(when_down="closed", clock=MovableClock().now)
    assert await admitted(rates)
    away(how)
    looks.clear()
    for _ in range(20):
        with pytest.raises(LimitsUnavailable):
            await admitted(rates)
    assert len(looks) == ATTEMPTS


async def test_a_hundred_requests_at_once_do_not_wait_one_after_the_other(
    instance: Made, away: Callable[[str], None], looks: list[str]
) -> None:
    rates = instance(clock=MovableClock().now)
    assert await admitted(rates)
    away("freeze")
    looks.clear()
    await asyncio.gather(*(admitted(rates) for _ in range(100)))
    assert len(looks) <= ATTEMPTS * shared_rates.CONNECTIONS  # who has no connection by then does not ask


async def test_an_instance_that_never_reached_redis_works_too(redis_server: Any, instance: Made) -> None:
    redis_server.stop()
    assert await admitted_alone(instance(clock=MovableClock().now)) == 10


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_redis_is_asked_again_after_the_break(
    redis_server: Any,
    instance: Made,
    how: str,
    away: Callable[[str], None],
    patience: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = MovableClock()
    rates = instance(clock=clock.now)
    away(how)
    assert await admitted(rates)
    redis_server.start() if how == "stop" else redis_server.thaw()
    patience(10.0)
    other = instance()
    for _ in range(10):
        await admitted(other)  # the frozen server may have counted what nobody waited for
    assert await admitted(rates)  # still in its break
    clock.move(BREAK_SECONDS)
    assert not await admitted(rates)
    assert events(capsys) == ["redis.unreachable", "redis.reached"]


async def test_only_one_request_tries_whether_redis_is_back(
    instance: Made, away: Callable[[str], None], looks: list[str]
) -> None:
    clock = MovableClock()
    rates = instance(clock=clock.now)
    assert await admitted(rates)
    away("freeze")
    await admitted(rates)
    clock.move(BREAK_SECONDS)
    looks.clear()
    await asyncio.gather(*(admitted(rates) for _ in range(30)))
    assert len(looks) == ATTEMPTS


async def test_a_connection_that_died_in_a_freeze_is_replaced_and_nobody_notices(
    redis_server: Any, instance: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = instance(when_down="closed")
    assert await admitted(rates)
    redis_server.stop()
    redis_server.start()
    assert await admitted(rates)
    assert events(capsys) == []


async def test_limits_count_in_redis_where_the_settings_name_one(redis_server: Any) -> None:
    tenant = Tenant(id="acme", rates={"prompts": "2/hour"})
    deployed = cast(Settings, SimpleNamespace(**RATES, redis_url=redis_server.url, limits_when_down="closed"))
    first, second = (from_settings(deployed, MemoryStore()) for _ in range(2))
    try:
        await first.admit(tenant, "prompts")
        await second.admit(tenant, "prompts")
        with pytest.raises(LimitError, match=r"limit\.rate"):
            await first.admit(tenant, "prompts")
        redis_server.stop()
        with pytest.raises(LimitsUnavailable):
            await second.admit(tenant, "prompts")
    finally:
        for each in (first, second):
            await cast(SharedRates, each._rates).close()


async def test_limits_count_for_themselves_where_the_settings_name_no_redis() -> None:
    tenant = Tenant(id="acme", rates={"prompts": "1/hour"})
    deployed = cast(Settings, SimpleNamespace(**RATES, redis_url="", limits_when_down="closed"))
    for each in (from_settings(deployed, MemoryStore()) for _ in range(2)):
        await each.admit(tenant, "prompts")
        with pytest.raises(LimitError, match=r"limit\.rate"):
            await each.admit(tenant, "prompts")
