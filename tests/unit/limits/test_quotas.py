"""Daily quotas: what one instance, and several, may spend of a day."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from isikit.errors import LimitError
from isikit.limits import LimitsUnavailable
from isikit.limits.quotas import KNOWN_SECONDS, Quotas
from support.memory_store import MemoryStore, MovableClock

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC).timestamp()  # in China
DAY = 86_400
KEY = "quotas/acme/leases/{}.jsonl"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture
def store(clock: MovableClock) -> MemoryStore:
    return MemoryStore(clock=clock)


def instance(store: MemoryStore, **settings: Any) -> Quotas:
    settings.setdefault("clock", store.clock.now)
    return Quotas(store, **settings)


async def spent(quotas: Quotas, quota: int, amount: int = 1) -> bool:
    """Whether it was granted."""
    try:
        await quotas.spend("acme", "leases", quota, amount)
    except LimitError as error:
        assert error.code == "limit.quota"
        return False
    return True


async def total(quotas: Quotas, quota: int, amount: int = 1) -> int:
    """How much one instance can spend, until it is refused."""
    units = 0
    while await spent(quotas, quota, amount):
        units += amount
    return units


def records(store: MemoryStore, day: str = "2026-11-22") -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.objects[KEY.format(day)].data.splitlines()]


@pytest.mark.parametrize("quota", [1, 7, 100, 3333])
async def test_the_whole_quota_can_be_spent_and_no_more(store: MemoryStore, quota: int) -> None:
    assert await total(instance(store), quota) == quota


async def test_what_is_spent_from_a_chunk_asks_nobody(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await total(quotas, 100_000) == 100_000
    assert len(records(store)) < 16 * 9 + 40
    assert store.calls["append"] + store.calls["tail"] < 2 * len(records(store)) + 5


async def test_a_quota_of_zero_allows_nothing_and_asks_nobody(store: MemoryStore) -> None:
    assert not await spent(instance(store), 0)
    assert not store.calls


async def test_an_amount_larger_than_the_quota_is_refused_and_takes_nothing(store: MemoryStore) -> None:
    quotas = instance(store)
    assert not await spent(quotas, 10, 11)
    assert await total(quotas, 10) == 10


async def test_an_amount_larger_than_a_chunk_is_granted_at_once(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await spent(quotas, 1000)
    assert await spent(quotas, 1000, 900)
    assert await total(quotas, 1000) == 99


async def test_a_refusal_takes_nothing(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await spent(quotas, 10, 6)
    assert not await spent(quotas, 10, 5)
    assert await spent(quotas, 10, 4)


async def test_a_used_up_quota_is_refused_without_asking_for_a_while(store: MemoryStore) -> None:
    quotas = instance(store)
    await total(quotas, 5)
    asked = store.calls.total()
    for _ in range(50):
        assert not await spent(quotas, 5)
    assert store.calls.total() == asked
    store.clock.move(KNOWN_SECONDS)
    assert not await spent(quotas, 5)
    assert store.calls.total() == asked + 1


async def test_a_hundred_requests_at_once_claim_one_chunk(store: MemoryStore) -> None:
    async def breathe() -> None:
        await asyncio.sleep(0)

    store.turn = breathe
    quotas = instance(store)
    granted = await asyncio.gather(*(spent(quotas, 100_000) for _ in range(100)))
    assert all(granted)
    assert store.calls["append"] < 10


@pytest.mark.parametrize("seed", range(12))
async def test_eight_instances_with_restarts_never_exceed_one_quota(store: MemoryStore, seed: int) -> None:
    chance = random.Random(seed)
    quota, granted = 400, 0

    async def breathe() -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    async def live() -> None:
        """One place for instances: they serve some requests and then die, with whatever they held."""
        nonlocal granted
        for _ in range(6):
            quotas = instance(store)
            for _ in range(chance.randrange(1, 30)):
                amount = chance.choice((1, 1, 1, 2, 5, 40))
                if await spent(quotas, quota, amount):
                    granted += amount

    store.turn = breathe
    for when in ("before", "after"):
        store.fail("append", nth=chance.randrange(3, 30), when=when)  # type: ignore[arg-type]
    await asyncio.gather(*(live() for _ in range(8)))
    assert granted <= quota
    assert sum(record["take"] for record in records(store)) <= quota
    assert granted > quota * 0.5  # crashes lose chunks, not days


@pytest.mark.parametrize("seed", range(6))
async def test_eight_instances_that_do_not_crash_spend_the_whole_quota(store: MemoryStore, seed: int) -> None:
    chance = random.Random(seed)

    async def breathe() -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    store.turn = breathe
    assert sum(await asyncio.gather(*(total(instance(store), 500) for _ in range(8)))) == 500


async def test_an_instance_that_ends_in_order_gives_its_chunk_back(store: MemoryStore) -> None:
    ending, staying = instance(store), instance(store)
    for _ in range(10):
        assert await spent(ending, 1000)
    await ending.hand_in()
    assert sum(record["take"] for record in records(store)) == 10
    assert await total(staying, 1000) == 990


async def test_handing_in_twice_or_with_nothing_gives_back_nothing(store: MemoryStore) -> None:
    quotas = instance(store)
    await quotas.hand_in()
    assert not store.calls
    await spent(quotas, 1000)
    await quotas.hand_in()
    written = len(records(store))
    await quotas.hand_in()
    assert len(records(store)) == written
    assert await total(quotas, 1000) == 999


async def test_what_was_given_back_can_be_spent_again(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await spent(quotas, 10, 10)
    quotas.give_back("acme", "leases", 4)
    assert await total(quotas, 10) == 4


async def test_a_raised_quota_can_be_spent_at_once(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await total(quotas, 10) == 10
    assert await total(quotas, 15) == 5


async def test_a_lowered_quota_holds_for_chunks_that_were_claimed_before(store: MemoryStore) -> None:
    first, second = instance(store), instance(store)
    for _ in range(10):
        assert await spent(first, 10_000)
        assert await spent(second, 10_000)
    used = 20
    assert sum(record["take"] for record in records(store)) == 24
    for _ in range(4):  # whoever was refused looks again later, when the others have handed in
        used += await total(first, 22) + await total(second, 22)
        store.clock.move(KNOWN_SECONDS)
    assert used == 22


async def test_a_new_day_begins_at_midnight_in_china(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await total(quotas, 10) == 10
    store.clock.move(12 * 3600 - 1)
    assert not await spent(quotas, 10)
    store.clock.move(1)
    assert await total(quotas, 10) == 10
    assert sorted(store.objects) == [KEY.format("2026-11-22"), KEY.format("2026-11-23")]


async def test_an_instance_frozen_over_midnight_does_not_spend_yesterdays_chunk(store: MemoryStore) -> None:
    frozen, other = instance(store), instance(store)
    assert await spent(frozen, 1000)
    store.clock.move(DAY)
    assert await total(other, 1000) == 1000
    assert not await spent(frozen, 1000)


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_the_day_is_osss_and_not_the_instances(store: MemoryStore, minutes: int) -> None:
    skewed = instance(store, clock=lambda: store.clock.now() + 60 * minutes)
    store.clock.move(12 * 3600 - 300)
    assert await total(skewed, 10) == 10
    store.clock.move(290)
    assert not await spent(skewed, 10)
    store.clock.move(10)
    assert await total(skewed, 10) == 10
    takes = {key: json.loads(stored.data.splitlines()[0])["take"] for key, stored in store.objects.items()}
    assert set(takes) == {KEY.format("2026-11-22"), KEY.format("2026-11-23")}


async def test_tenants_and_kinds_have_quotas_of_their_own(store: MemoryStore) -> None:
    quotas = instance(store)
    assert await total(quotas, 5) == 5
    await quotas.spend("other", "leases", 5, 5)
    await quotas.spend("acme", "uploads", 5, 5)
    with pytest.raises(LimitError):
        await quotas.spend("other", "leases", 5, 1)


async def test_the_unavailable_says_when_to_come_again() -> None:
    assert (LimitsUnavailable.status, LimitsUnavailable.retryable, LimitsUnavailable.retry_after) == (503, True, 5)
