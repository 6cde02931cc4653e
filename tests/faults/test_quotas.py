"""Daily quotas while OSS loses answers, hangs, or is away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from isikit.errors import IsiError, LimitError
from isikit.limits import Limits, LimitsUnavailable, quotas
from isikit.limits.quotas import BREAK_SECONDS, Quotas
from isikit.tenants import Tenant
from support.memory_store import MemoryStore, refused

KEY = "quotas/acme/leases/2023-11-15.jsonl"  # MovableClock's own day, in China


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal waits between attempts of an append."""
    monkeypatch.setattr("isikit.journal.FIRST_PAUSE_SECONDS", 0.0)


def instance(store: MemoryStore, **settings: Any) -> Quotas:
    return Quotas(store, clock=store.clock.now, **settings)


async def granted(spender: Quotas, quota: int, amount: int = 1) -> bool:
    try:
        await spender.spend("acme", "leases", quota, amount)
    except LimitError:
        return False
    return True


async def total(spender: Quotas, quota: int) -> int:
    units = 0
    while await granted(spender, quota):
        units += 1
    return units


def taken(store: MemoryStore) -> int:
    return sum(json.loads(line)["take"] for line in store.objects[KEY].data.splitlines())


def silence(store: MemoryStore) -> None:
    """OSS answers nothing any more."""
    for operation in ("tail", "append"):
        store.fail(operation, times=10_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("times", [1, 3, 4, 9])
@pytest.mark.parametrize("nth", [1, 2, 5])
async def test_lost_answers_neither_exceed_nor_lose_anything(when: Any, times: int, nth: int) -> None:
    store = MemoryStore()
    first, second = instance(store, when_down="closed"), instance(store, when_down="closed")
    store.fail("append", nth=nth, times=times, when=when)
    spent = 0
    for _ in range(400):
        for each in (first, second):
            try:
                spent += int(await granted(each, 200))
            except LimitsUnavailable:
                store.clock.move(BREAK_SECONDS)
    assert spent == taken(store) == 200


async def test_a_caller_who_goes_away_during_a_claim_takes_nothing_with_him() -> None:
    store = MemoryStore()
    spender = instance(store)
    reached = asyncio.Event()

    async def hang() -> None:
        if store.calls["append"]:
            reached.set()
            await asyncio.Event().wait()

    store.turn = hang
    caller = asyncio.ensure_future(granted(spender, 50))
    await reached.wait()
    caller.cancel()
    await asyncio.wait((caller,))
    store.turn = None
    assert await total(spender, 50) == 50


async def test_open_an_instance_goes_on_alone_up_to_the_quota_and_books_it_afterwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MemoryStore()
    alone, other = instance(store), instance(store)
    silence(store)
    assert await total(alone, 30) == 30
    store.heal()
    store.clock.move(BREAK_SECONDS)
    assert not await granted(alone, 30)
    assert taken(store) == 30
    assert not await granted(other, 30)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines if line["event"] != "limit.refused"] == [
        "quota.unreachable",
        "quota.claimed",
        "quota.reached",
    ]


async def test_open_an_instance_that_knows_what_is_left_lets_no_more_through() -> None:
    store = MemoryStore()
    alone, other = instance(store), instance(store)
    assert await granted(other, 30, 25)
    assert await granted(alone, 30)
    silence(store)
    assert await total(alone, 30) == 4


async def test_closed_what_is_not_in_the_chunk_is_refused_with_503() -> None:
    store = MemoryStore()
    spender = instance(store, when_down="closed")
    assert await granted(spender, 1000)
    in_chunk = taken(store) - 1
    assert in_chunk > 0
    silence(store)
    for _ in range(in_chunk):
        assert await granted(spender, 1000)
    for _ in range(3):
        with pytest.raises(LimitsUnavailable):
            await granted(spender, 1000)
    store.heal()
    store.clock.move(BREAK_SECONDS)
    assert await granted(spender, 1000)


async def test_while_oss_is_away_only_one_request_waits_for_it() -> None:
    store = MemoryStore()
    spender = instance(store)
    silence(store)
    assert await granted(spender, 1000)
    asked = store.calls.total()
    assert [await granted(spender, 1000) for _ in range(20)] == [True] * 20
    assert store.calls.total() == asked
    store.clock.move(BREAK_SECONDS)
    assert all(await asyncio.gather(*(granted(spender, 1000) for _ in range(20))))
    assert store.calls.total() == asked + 1


async def test_an_oss_that_hangs_holds_a_request_up_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "WAIT_SECONDS", 0.02)
    store = MemoryStore()

    async def hang() -> None:
        await asyncio.Event().wait()

    store.turn = hang
    async with asyncio.timeout(5):
        assert all(await asyncio.gather(*(granted(instance(store), 10) for _ in range(5))))
        with pytest.raises(LimitsUnavailable):
            await granted(instance(store, when_down="closed"), 10)


@pytest.mark.parametrize(
    "planted",
    [
        b'{"something": "else"}\n',
        b'{"by": "mallory", "take": -1000000}\n',
        b'{"by": "a", "take": 3}\n{"by": "a", "take": -4}\n{"by": "b", "take": 9}\n',
        b'{"by": "a", "take": 0.5}\n',
        b'{"by": ["a"], "take": 1}\n',
    ],
)
async def test_a_journal_that_somebody_wrote_into_is_as_good_as_out_of_reach(planted: bytes) -> None:
    store = MemoryStore()
    await store.append(KEY, 0, planted)
    with pytest.raises(LimitsUnavailable):
        await granted(instance(store, when_down="closed"), 10)
    assert await total(instance(store), 10) == 10


async def test_a_refusal_of_oss_that_is_final_counts_as_out_of_reach() -> None:
    store = MemoryStore()
    store.fail("append", times=100, error=lambda: refused("oss.access_denied", 403))
    with pytest.raises(LimitsUnavailable):
        await granted(instance(store, when_down="closed"), 10)


async def test_what_cannot_be_handed_in_is_lost_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore()
    spender = instance(store)
    assert await granted(spender, 1000)
    silence(store)
    await spender.hand_in()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["limit"]) == ("quota.lost", "leases")


@pytest.mark.parametrize("when_down", ["open", "closed"])
async def test_a_tenant_without_a_quota_never_notices(when_down: Any) -> None:
    store = MemoryStore()
    silence(store)
    limits = Limits(store, when_down=when_down)
    await limits.spend(Tenant(id="acme"), "leases", 1)
    with pytest.raises(IsiError):
        await limits.spend(Tenant(id="acme", quotas={"leases": 0}), "leases", 1)
