"""Rates in a real Redis: over all instances, and when it is away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from isikit.config import Settings
from isikit.errors import LimitError
from isikit.limits import LimitsUnavailable, Rate, from_settings, shared_rates
from isikit.limits.shared_rates import ATTEMPT_SECONDS, ATTEMPTS, BREAK_SECONDS, SharedRates
from isikit.tenants import Tenant
from support.memory_store import MemoryStore, MovableClock

RATE = Rate(10, 3600)
RATES = {f"rate_{name}": "1000/second" for name in ("leases", "uploads", "prompts", "jobs", "recognitions")}
SLACK_SECONDS = 0.25  # other tests run on this machine

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


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for Redis as long as it takes, where the machine's other work shall not decide."""
    monkeypatch.setattr(shared_rates, "ATTEMPT_SECONDS", 10.0)


async def admitted(rates: SharedRates, rate: Rate = RATE, tenant: str = "acme") -> bool:
    return (await rates.hit(tenant, "prompts", rate))[0]


async def admitted_alone(rates: SharedRates) -> int:
    """How many are let through of more than there is room for."""
    return sum([await admitted(rates) for _ in range(15)])


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("patient")
async def test_two_instances_share_one_rate(instance: Made) -> None:
    first, second = instance(), instance()
    answers = [await admitted(each) for _ in range(8) for each in (first, second)]
    assert sum(answers) == 10
    assert await admitted(second, tenant="other")


@pytest.mark.usefixtures("patient")
async def test_a_rush_over_eight_instances_is_let_through_exactly_to_the_limit(instance: Made) -> None:
    rate = Rate(60, 3600)
    warm = [instance() for _ in range(8)]
    for each in warm:
        await each.hit("nobody", "prompts", rate)
    answers = await asyncio.gather(*(admitted(each, rate) for each in warm for _ in range(25)))
    assert sum(answers) == 60


@pytest.mark.usefixtures("patient")
async def test_the_remainder_is_that_of_all_instances(instance: Made) -> None:
    first, second = instance(), instance()
    await admitted(first)
    _, allowance = await second.hit("acme", "prompts", RATE)
    assert (allowance.limit, allowance.remaining, allowance.window_seconds) == (10, 8, 3600)
    assert 1 <= allowance.reset_seconds <= 3601


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_when_redis_goes_away_open_instances_count_for_themselves(
    redis_server: Any, instance: Made, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = instance(clock=MovableClock().now)
    for _ in range(10):
        assert await admitted(rates)
    getattr(redis_server, how)()
    begun_at = time.monotonic()
    assert await admitted_alone(rates) == 10
    assert time.monotonic() - begun_at < ATTEMPTS * ATTEMPT_SECONDS + SLACK_SECONDS  # only the first one waited
    assert events(capsys) == ["redis.unreachable"]


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_when_redis_goes_away_closed_instances_refuse(redis_server: Any, instance: Made, how: str) -> None:
    rates = instance(when_down="closed", clock=MovableClock().now)
    assert await admitted(rates)
    getattr(redis_server, how)()
    begun_at = time.monotonic()
    for _ in range(20):
        with pytest.raises(LimitsUnavailable):
            await admitted(rates)
    assert time.monotonic() - begun_at < ATTEMPTS * ATTEMPT_SECONDS + SLACK_SECONDS


async def test_a_hundred_requests_at_once_do_not_wait_one_after_the_other(redis_server: Any, instance: Made) -> None:
    rates = instance(clock=MovableClock().now)
    assert await admitted(rates)
    redis_server.freeze()
    begun_at = time.monotonic()
    await asyncio.gather(*(admitted(rates) for _ in range(100)))
    assert time.monotonic() - begun_at < 2 * ATTEMPTS * ATTEMPT_SECONDS + SLACK_SECONDS


async def test_an_instance_that_never_reached_redis_works_too(redis_server: Any, instance: Made) -> None:
    redis_server.stop()
    assert await admitted_alone(instance(clock=MovableClock().now)) == 10


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_redis_is_asked_again_after_the_break(
    redis_server: Any,
    instance: Made,
    how: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = MovableClock()
    rates = instance(clock=clock.now)
    getattr(redis_server, how)()
    assert await admitted(rates)
    redis_server.start() if how == "stop" else redis_server.thaw()
    monkeypatch.setattr(shared_rates, "ATTEMPT_SECONDS", 10.0)
    other = instance()
    for _ in range(10):
        await admitted(other)  # the frozen server may have counted what nobody waited for
    assert await admitted(rates)  # still in its break
    clock.move(BREAK_SECONDS)
    assert not await admitted(rates)
    assert events(capsys) == ["redis.unreachable", "redis.reached"]


async def test_only_one_request_tries_whether_redis_is_back(redis_server: Any, instance: Made) -> None:
    clock = MovableClock()
    rates = instance(clock=clock.now)
    assert await admitted(rates)
    redis_server.freeze()
    await admitted(rates)
    clock.move(BREAK_SECONDS)
    waits = []

    async def waited() -> None:
        begun_at = time.monotonic()
        await admitted(rates)
        waits.append(time.monotonic() - begun_at)

    await asyncio.gather(*(waited() for _ in range(30)))
    assert sum(wait >= ATTEMPT_SECONDS for wait in waits) == 1


async def test_a_connection_that_died_in_a_freeze_is_replaced_and_nobody_notices(
    redis_server: Any, instance: Made, capsys: pytest.CaptureFixture[str], patient: None
) -> None:
    rates = instance(when_down="closed")
    assert await admitted(rates)
    redis_server.stop()
    redis_server.start()
    assert await admitted(rates)
    assert events(capsys) == []


@pytest.mark.usefixtures("patient")
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
