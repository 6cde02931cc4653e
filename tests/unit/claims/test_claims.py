"""Claims, one step after the other."""

from __future__ import annotations

import asyncio

import pytest

from isikit.claims import Claim, ClaimLost, Held, holder, take
from isikit.errors import StorageError
from isikit.journal import Journal
from support.memory_store import MemoryStore

KEY = "claims/t/1.jsonl"


async def no_pause(_: float) -> None:
    """Waits not at all."""


def journal_on(store: MemoryStore) -> Journal:
    return Journal(store, KEY, pause=no_pause)


async def taken(store: MemoryStore, owner: str = "a", seconds: float = 10) -> Claim:
    claim = await take(journal_on(store), owner, seconds)
    assert isinstance(claim, Claim)
    return claim


async def test_a_free_claim_is_taken_until_so_many_seconds_from_osss_now() -> None:
    store = MemoryStore()
    claim = await taken(store)
    assert (claim.owner, claim.until) == ("a", store.clock.now() + 10)


async def test_a_second_claimer_is_told_who_has_it_until_when() -> None:
    store = MemoryStore()
    claim = await taken(store)
    store.clock.move(9)
    assert await take(journal_on(store), "b", 10) == Held("a", claim.until, store.clock.now())


async def test_the_same_owner_asking_again_is_told_that_it_is_held() -> None:
    store = MemoryStore()
    await taken(store)
    assert isinstance(await take(journal_on(store), "a", 10), Held)


async def test_a_past_claim_is_taken_over_and_its_owner_learns_it_at_renewal() -> None:
    store = MemoryStore()
    old = await taken(store)
    store.clock.move(10)
    new = await taken(store, "b")
    with pytest.raises(ClaimLost):
        await old.renew(10)
    with pytest.raises(ClaimLost):
        await old.append({"done": "a"})
    await old.release()
    assert holder(await journal_on(store).read()) == Held("b", new.until, store.clock.now())


async def test_it_stays_lost_after_the_next_owner_gave_it_back() -> None:
    store = MemoryStore()
    old = await taken(store)
    store.clock.move(10)
    await (await taken(store, "b")).release()
    with pytest.raises(ClaimLost):
        await old.renew(10)


async def test_a_renewed_claim_ends_later() -> None:
    store = MemoryStore()
    claim = await taken(store)
    store.clock.move(8)
    await claim.renew(10)
    store.clock.move(9)
    assert isinstance(await take(journal_on(store), "b", 10), Held)
    assert claim.until == store.clock.now() + 1


async def test_a_past_claim_that_nobody_took_over_can_be_renewed() -> None:
    store = MemoryStore()
    claim = await taken(store)
    store.clock.move(60)
    await claim.renew(10)
    assert isinstance(await take(journal_on(store), "b", 10), Held)


async def test_a_claim_given_back_is_free_at_once() -> None:
    store = MemoryStore()
    claim = await taken(store)
    await claim.release()
    assert isinstance(await take(journal_on(store), "b", 10), Claim)
    with pytest.raises(ClaimLost):
        await claim.renew(10)
    await claim.release()


async def test_an_outcome_is_appended_while_the_claim_is_ours_also_between_the_records_of_others() -> None:
    store = MemoryStore()
    claim = await taken(store)
    other = journal_on(store)
    await other.append({"note": "by somebody"}, await other.read())
    snapshot = await claim.append({"done": "a"})
    assert [sorted(record)[0] for record in snapshot.records] == ["claim", "nonce", "done"]
    await claim.renew(10)


async def test_of_two_claimers_at_a_claims_edge_exactly_one_wins() -> None:
    store = MemoryStore()
    await taken(store)
    store.clock.move(10)
    store.turn = lambda: asyncio.sleep(0)
    outcomes = await asyncio.gather(*(take(journal_on(store), owner, 10) for owner in "bc"))
    winners = [outcome for outcome in outcomes if isinstance(outcome, Claim)]
    losers = [outcome for outcome in outcomes if isinstance(outcome, Held)]
    assert len(winners) == len(losers) == 1
    assert losers[0].owner == winners[0].owner


async def test_of_a_renewal_and_a_takeover_at_the_edge_exactly_one_wins() -> None:
    store = MemoryStore()
    claim = await taken(store)
    store.clock.move(10)
    store.turn = lambda: asyncio.sleep(0)
    renewed, other = await asyncio.gather(claim.renew(10), take(journal_on(store), "b", 10), return_exceptions=True)
    assert isinstance(renewed, ClaimLost) == isinstance(other, Claim)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_claim_whose_answer_was_lost_is_still_ours(when: str) -> None:
    store = MemoryStore()
    store.fail("append", when=when)
    claim = await taken(store)
    assert holder(claim.snapshot) == Held("a", claim.until, store.clock.now())


async def test_a_claim_that_nobody_knows_of_lapses_by_itself() -> None:
    store = MemoryStore()
    store.fail("append", when="after")
    store.fail("tail", nth=2, times=99)
    with pytest.raises(StorageError):
        await take(journal_on(store), "a", 10)
    store.heal()
    assert isinstance(await take(journal_on(store), "b", 10), Held)
    store.clock.move(10)
    assert isinstance(await take(journal_on(store), "b", 10), Claim)
