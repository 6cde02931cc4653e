"""Every call that an instance makes to get the shared token fails, or the instance dies in it; then others come."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from isikit.errors import IsiError
from isikit.journal import Journal
from isikit.nls.token import TokenSource
from isikit.nls.token_log import RECORDS_PER_JOURNAL
from support.outward import Kind, Outward, OutwardTokens, When
from support.sharing import DAY_SECONDS, LIFE, Account, soon

CLEAN_RUN = [
    "state.get tokens",  # which journal
    "state.tail tokens",
    "state.get config",  # the keys
    "state.append tokens",  # the claim
    "token",  # CreateToken
    "state.append tokens",  # the token, sealed; gives the claim back
]
CREATE = CLEAN_RUN.index("token") + 1


def struck(account: Account, outward: Outward) -> TokenSource:
    """An instance whose every call goes through `outward`."""
    stores = outward.stores(SimpleNamespace(prompts=None, recordings=None, state=account.store))  # type: ignore[arg-type]
    return account.instance(store=stores.state, fetch=OutwardTokens(account.api, outward).fetch)


async def test_a_clean_run_makes_these_calls() -> None:
    account, outward = Account(), Outward()
    await struck(account, outward).get(LIFE, soon())
    assert outward.calls == CLEAN_RUN


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["fault", "kill"])
@pytest.mark.parametrize("nth", range(1, len(CLEAN_RUN) + 1))
async def test_whatever_breaks_others_get_a_token_and_few_are_made(nth: int, kind: Kind, when: When) -> None:
    account = Account()
    await assert_others_get_a_token(account, Outward(nth, kind, when))
    if nth < CREATE and kind == "kill":
        assert account.api.calls == 1


async def assert_others_get_a_token(account: Account, outward: Outward) -> None:
    """Run one instance into its fault or death, then three others."""
    first = asyncio.create_task(struck(account, outward).get(LIFE, soon()))
    if outward.kind == "kill":
        await asyncio.wait((first, dying := asyncio.create_task(outward.died.wait())), return_when="FIRST_COMPLETED")
        assert dying.done()
    else:
        with contextlib.suppress(IsiError):
            assert (await first).expires_at > account.clock.now() + LIFE
    assert outward.struck

    others = [account.instance() for _ in range(3)]
    tokens = await asyncio.gather(*(other.get(LIFE, soon()) for other in others))
    assert len({token.id for token in tokens}) == 1
    assert tokens[0].expires_at > account.clock.now() + LIFE
    assert account.api.calls <= 2  # one that was lost with its maker or its answer, and the one that is served

    outward.buried = True
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError, IsiError):
        await first


FULL_RUN = [
    "state.get tokens",
    "state.tail tokens",
    "state.append tokens",  # the full journal names the next one
    "state.tail tokens",
    "state.tail tokens",
    "state.get config",
    "state.append tokens",
    "token",
    "state.append tokens",
    "state.put tokens",  # new instances begin at the next one
]


async def with_full_journal() -> Account:
    """An account whose journal takes no more claims, and whose tokens are past."""
    account = Account()
    journal = Journal(account.store, "tokens/own/000001.jsonl")
    await account.instance().get(LIFE, soon())
    while len((await journal.read()).records) < RECORDS_PER_JOURNAL:
        await journal.append({"renewed": "nobody", "until": 0.0}, await journal.read())
    account.clock.move(DAY_SECONDS)
    account.api.calls = 0
    return account


async def test_a_run_at_a_full_journal_makes_these_calls() -> None:
    account, outward = await with_full_journal(), Outward()
    await struck(account, outward).get(LIFE, soon())
    assert outward.calls == FULL_RUN


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["fault", "kill"])
@pytest.mark.parametrize("nth", range(1, len(FULL_RUN) + 1))
async def test_whatever_breaks_on_the_way_to_the_next_journal_others_find_it(nth: int, kind: Kind, when: When) -> None:
    account = await with_full_journal()
    await assert_others_get_a_token(account, Outward(nth, kind, when))
    assert account.journal(1)[-1]["next"] == 2
    assert any("token" in record for record in account.journal(2))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", range(4, len(CLEAN_RUN) + 1))
async def test_a_dead_holder_keeps_others_waiting_for_its_claim_only(nth: int, when: When) -> None:
    account = Account()
    outward = Outward(nth, "kill", when)
    first = asyncio.create_task(struck(account, outward).get(LIFE, soon()))
    await outward.died.wait()
    began = account.clock.now()
    await account.instance().get(LIFE, soon())
    assert account.clock.now() - began < 10

    outward.buried = True
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError, IsiError):
        await first


async def test_a_holder_that_froze_past_its_claim_does_no_harm() -> None:
    account = Account()
    calling, thawed = asyncio.Event(), asyncio.Event()

    async def slow(deadline: object) -> object:
        token = await account.api.fetch(deadline)  # type: ignore[arg-type]
        calling.set()
        await thawed.wait()
        return token

    frozen = asyncio.create_task(account.instance(fetch=slow).get(LIFE, soon()))  # type: ignore[arg-type]
    await calling.wait()
    account.clock.move(600)
    second = await account.instance().get(LIFE, soon())
    thawed.set()
    assert (await frozen).id != second.id
    assert (await account.instance().get(LIFE, soon())).id == second.id
    assert account.api.calls == 2
