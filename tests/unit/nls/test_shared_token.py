"""One token per account and life, over all instances of all functions."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from isikit.errors import ConfigError, DeadlineExceeded, TokenError, token_error
from isikit.host.context import Deadline
from isikit.journal import Journal
from isikit.nls import token_log
from isikit.nls.speech_token import SpeechToken
from isikit.nls.token import REST_SECONDS, TokenSources
from support.memory_store import unanswered
from support.sharing import DAY_SECONDS, LIFE, Account, soon, throttled


@pytest.fixture
def account() -> Account:
    return Account()


async def test_the_second_instance_reads_what_the_first_one_made(account: Account) -> None:
    first = await account.instance().get(LIFE, soon())
    assert await account.instance().get(LIFE, soon()) == first
    assert account.api.calls == 1


async def test_the_journal_shows_no_token(account: Account) -> None:
    token = await account.instance().get(LIFE, soon())
    assert token.id.encode() not in b"".join(found.data for found in account.store.objects.values())


async def test_a_cold_instance_asks_storage_three_times(account: Account) -> None:
    await account.instance().get(LIFE, soon())
    account.store.calls.clear()
    source = account.instance()
    for _ in range(50):
        await source.get(LIFE, soon())
    assert dict(account.store.calls) == {"get": 2, "tail": 1}  # the hint and the keys, and the journal


@pytest.mark.parametrize("seed", range(60))
async def test_thirty_cold_instances_at_once_cost_one_call_in_any_order(seed: int, account: Account) -> None:
    chance = random.Random(seed)

    async def turn() -> None:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)

    account.store.turn = turn
    tokens = await asyncio.gather(*(account.instance().get(LIFE, soon()) for _ in range(30)))
    assert (len({token.id for token in tokens}), account.api.calls) == (1, 1)


@pytest.mark.parametrize("seed", range(20))
async def test_in_the_last_fifth_one_instance_renews_and_nobody_waits(seed: int, account: Account) -> None:
    chance = random.Random(seed)
    sources = [account.instance() for _ in range(10)]
    for source in sources:
        await source.get(LIFE, soon())
    account.clock.move(0.81 * DAY_SECONDS)

    async def turn() -> None:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)

    account.store.turn = turn
    paused = account.paused
    tokens = await asyncio.gather(*(source.get(LIFE, soon()) for source in sources))
    assert account.paused == paused
    assert {token.id for token in tokens} <= {f"{1:032x}", f"{2:032x}"}
    account.clock.move(token_log.FIRST_REST_SECONDS + 1)
    assert {(await source.get(LIFE, soon())).id for source in sources} == {f"{2:032x}"}
    assert account.api.calls == 2


async def test_a_long_minimum_is_renewed_for_before_it_is_reached_so_that_nobody_waits(account: Account) -> None:
    half = int(DAY_SECONDS / 2)
    source, other = account.instance(), account.instance()
    first = await source.get(half, soon())
    account.clock.move(DAY_SECONDS - 1.26 * half)
    assert (await source.get(half, soon())).id == first.id
    account.clock.move(0.02 * half)
    assert (await source.get(LIFE, soon())).id == first.id, "it is not this one's minimum that comes near"
    second = await source.get(half, soon())
    assert second.id != first.id
    assert ((await other.get(half, soon())).id, account.paused, account.api.calls) == (second.id, 0, 2)


async def test_a_long_minimum_that_comes_near_while_the_api_throttles_is_no_refusal_yet(account: Account) -> None:
    half = int(DAY_SECONDS / 2)
    source = account.instance()
    first = await source.get(half, soon())
    account.clock.move(DAY_SECONDS - 1.24 * half)
    account.api.failing = throttled
    assert (await source.get(half, soon())).id == first.id
    account.api.failing = None
    account.clock.move(REST_SECONDS + 1)
    assert (await source.get(half, soon())).id != first.id


async def test_tokens_that_live_hardly_longer_than_the_minimum_are_not_made_at_every_request(account: Account) -> None:
    account.api.life_seconds = 1.01 * DAY_SECONDS / 2
    source = account.instance()
    for _ in range(10):
        await source.get(int(DAY_SECONDS / 2), soon())
    assert account.api.calls == 1


async def test_a_token_that_lives_is_served_by_new_instances_too_while_the_api_throttles(account: Account) -> None:
    first = await account.instance().get(LIFE, soon())
    account.clock.move(0.81 * DAY_SECONDS)
    account.api.failing = throttled
    for _ in range(10):
        source = account.instance()
        assert (await source.get(LIFE, soon())).id == first.id
        assert (await source.get(LIFE, soon())).id == first.id  # tries to renew, or rests
    assert account.api.calls <= 1 + 3  # one renewal was tried, in three attempts


async def test_hours_of_throttling_make_few_calls_and_no_instance_loses_the_token(account: Account) -> None:
    first = await account.instance().get(LIFE, soon())
    account.clock.move(0.80 * DAY_SECONDS + 1)
    account.api.failing = throttled
    old = account.instance()
    await old.get(LIFE, soon())
    while first.expires_at - account.clock.now() > LIFE + 60:
        account.clock.move(31)
        assert (await old.get(LIFE, soon())).id == first.id
    assert len(account.store.objects) > 5  # the journal went on in others, and was told where to
    assert (await account.instance().get(LIFE, soon())).id == first.id
    account.api.failing = None
    account.clock.move(LIFE + 60)
    assert (await account.instance().get(LIFE, soon())).id != first.id


async def test_a_failure_is_shared_and_all_rest_before_the_next_try(account: Account) -> None:
    account.api.failing = lambda: token_error(200, 40020503)
    for _ in range(30):
        with pytest.raises(TokenError) as caught:
            await account.instance().get(LIFE, soon())
        assert caught.value.code == "pop.ram_denied"
    assert account.api.calls == 1
    account.clock.move(3)
    account.api.failing = None
    assert (await account.instance().get(LIFE, soon())).expires_at > account.clock.now()


async def test_a_short_rest_is_waited_out(account: Account) -> None:
    account.api.failing = throttled
    with pytest.raises(TokenError):
        await account.instance().get(LIFE, soon())
    account.api.failing = None
    paused = account.paused
    assert await account.instance().get(LIFE, soon())
    assert 1 < account.paused - paused < 4


async def test_a_long_rest_is_told_at_once_with_its_end(account: Account) -> None:
    account.api.failing = throttled
    for _ in range(5):
        with pytest.raises(TokenError):
            await account.instance().get(LIFE, soon())
    calls, paused = account.api.calls, account.paused
    with pytest.raises(TokenError) as caught:
        await account.instance().get(LIFE, soon())
    assert (caught.value.code, account.api.calls, account.paused) == ("pop.throttled", calls, paused)
    assert 25 <= (caught.value.retry_after or 0) <= 31


async def test_trouble_of_one_instance_keeps_no_other_from_trying(account: Account) -> None:
    async def with_dead_credentials(_: Deadline) -> SpeechToken:
        raise token_error(403, "InvalidSecurityToken.Expired")

    with pytest.raises(TokenError):
        await account.instance(fetch=with_dead_credentials).get(LIFE, soon())
    paused = account.paused
    assert await account.instance().get(LIFE, soon())
    assert account.paused == paused


async def test_a_refused_token_is_replaced_once_and_found_by_the_others(account: Account) -> None:
    sources = [account.instance() for _ in range(10)]
    old = {(await source.get(LIFE, soon())).id for source in sources}.pop()
    for source in sources:
        source.invalidate(old)
    tokens = await asyncio.gather(*(source.get(LIFE, soon()) for source in sources))
    assert {token.id for token in tokens} == {f"{2:032x}"}
    assert (await account.instance().get(LIFE, soon())).id == f"{2:032x}"
    assert account.api.calls == 2


async def test_a_service_that_refuses_every_token_is_not_given_one_per_request(account: Account) -> None:
    source, refused = account.instance(), 0
    for _ in range(30):
        try:
            source.invalidate((await source.get(LIFE, Deadline.after(5))).id)
        except TokenError as error:
            assert error.retryable
            refused += 1
    assert (account.api.calls, refused) == (3, 27)


async def test_while_storage_is_down_each_instance_makes_its_own(account: Account) -> None:
    account.store.fail("get", times=10**6)
    account.store.fail("tail", times=10**6)
    sources = [account.instance() for _ in range(3)]
    for _ in range(20):
        assert len({(await source.get(LIFE, soon())).id for source in sources}) == 3
    assert account.api.calls == 3


async def test_without_keys_each_instance_makes_its_own_and_nobody_waits_for_a_claim(account: Account) -> None:
    del account.store.objects["config/keys.json"]
    await asyncio.gather(*(account.instance().get(LIFE, soon()) for _ in range(3)))
    assert (account.api.calls, account.paused, account.journal()) == (3, 0.0, [])


async def test_a_seal_that_cannot_be_opened_counts_as_no_token(account: Account) -> None:
    await account.instance().get(LIFE, soon())
    account.rotate_key(2)
    assert (await account.instance().get(LIFE, soon())).id == f"{2:032x}"
    assert (await account.instance().get(LIFE, soon())).id == f"{2:032x}"


@pytest.mark.parametrize("damage", ["AAAA", "not base64", 7])
async def test_planted_bytes_count_as_no_token(damage: object, account: Account) -> None:
    journal = Journal(account.store, "tokens/own/000001.jsonl")
    await journal.append({"token": damage, "expires_at": 9e9}, await journal.read())
    assert (await account.instance().get(LIFE, soon())).id == f"{1:032x}"


@pytest.mark.parametrize(
    "line",
    [
        b'{"token": "AAAA", "expires_at": 9e9}',
        b'{"token": "AAAA", "nonce": "n"}',
        b'{"token": "AAAA", "expires_at": "soon", "nonce": "n"}',
        b'{"failed": "pop.throttled", "nonce": "n"}',
        b'{"failed": "pop.throttled", "at": 1e12, "nonce": "n"}',
        b'{"refused": ["n"], "at": 1, "nonce": "n"}',
        b'{"claim": "me", "nonce": "n"}',
        b'{"claim": "me", "until": 1e300, "nonce": "n"}',
        b'{"renewed": "n", "until": "never", "nonce": "n"}',
        b'{"next": "2", "nonce": "n"}',
        b'{"a": ' + b"[" * 4000 + b"]" * 4000 + b', "nonce": "n"}',
    ],
)
async def test_a_planted_record_stops_nobody(line: bytes, account: Account) -> None:
    await account.store.append("tokens/own/000001.jsonl", 0, line + b"\n")
    assert (await account.instance().get(LIFE, soon())).id == f"{1:032x}"
    assert account.paused == 0.0


async def test_a_seal_of_another_account_does_not_open(account: Account) -> None:
    await account.instance().get(LIFE, soon())
    for key in [key for key in account.store.objects if key.startswith("tokens/own/")]:
        account.store.objects[key.replace("own", "role-1-a")] = account.store.objects[key]
    assert (await account.instance(account="role-1-a").get(LIFE, soon())).id == f"{2:032x}"


@pytest.mark.parametrize("off_seconds", [-600.0, 600.0])
async def test_an_instance_whose_clock_is_ten_minutes_off_judges_by_storages_clock(
    off_seconds: float, account: Account
) -> None:
    await account.instance().get(LIFE, soon())
    source = account.instance(clock_off_seconds=off_seconds)
    await source.get(LIFE, soon())
    assert abs(source.now() - account.clock.now()) <= 1
    account.clock.move(DAY_SECONDS - LIFE + 60)
    token = await source.get(LIFE, soon())
    assert (token.id, account.api.calls) == (f"{2:032x}", 2)
    account.clock.move(DAY_SECONDS - LIFE - 60)
    account.api.failing = throttled
    assert await source.get(LIFE, soon()) == token


async def test_tokens_that_live_shorter_than_asked_are_not_made_again_and_again(account: Account) -> None:
    for _ in range(10):
        with pytest.raises(TokenError) as caught:
            await account.instance().get(48 * 3600, soon())
        assert caught.value.code == "pop.token_too_short"
    assert account.api.calls == 1


async def test_different_minimum_lives_at_once_cost_one_call(account: Account) -> None:
    source = account.instance()
    await asyncio.gather(*(source.get(life, soon()) for life in (60, 600, 3600) for _ in range(5)))
    assert account.api.calls == 1


async def test_years_of_tokens_leave_a_new_instance_little_to_read(account: Account) -> None:
    source = account.instance()
    for _ in range(400):
        await source.get(LIFE, soon())
        account.clock.move(0.9 * DAY_SECONDS)
    await source.get(LIFE, soon())
    account.store.calls.clear()
    await account.instance().get(LIFE, soon())
    assert dict(account.store.calls) == {"get": 2, "tail": 1}
    journals = [found.data for key, found in account.store.objects.items() if key.endswith(".jsonl")]
    assert len(journals) > 4
    assert max(map(len, journals)) < 64 * 1024


@pytest.mark.parametrize("hint", [b"", b"{}", b'{"generation": "x"}', b'{"generation": -3}', b"\xff" * 4096])
async def test_a_damaged_hint_is_no_hint(hint: bytes, account: Account) -> None:
    first = await account.instance().get(LIFE, soon())
    await account.store.put("tokens/own/current", hint, content_type="application/json")
    assert await account.instance().get(LIFE, soon()) == first


async def test_a_renewal_ahead_makes_nothing_while_storage_is_down(account: Account) -> None:
    source = account.instance()
    first = await source.get(LIFE, soon())
    account.clock.move(0.9 * DAY_SECONDS)
    account.store.fail("tail", times=10**6, error=unanswered)
    for _ in range(10):
        assert await source.get(LIFE, soon()) == first
    assert account.api.calls == 1


async def never(_: Deadline) -> SpeechToken:
    await asyncio.Event().wait()
    raise AssertionError


async def test_who_goes_while_his_token_is_made_gives_the_claim_back(account: Account) -> None:
    with pytest.raises(DeadlineExceeded):
        await account.instance(fetch=never).get(LIFE, Deadline.after(0.05))
    paused = account.paused
    assert await account.instance().get(LIFE, soon())
    assert account.paused == paused


async def test_an_api_too_slow_to_renew_ahead_is_not_tried_by_every_instance(account: Account) -> None:
    calls = 0

    async def slow(deadline: Deadline) -> SpeechToken:
        nonlocal calls
        calls += 1
        return await never(deadline)

    first = await account.instance().get(LIFE, soon())
    account.clock.move(0.81 * DAY_SECONDS)
    for _ in range(10):
        source = account.instance(fetch=slow)
        await source.get(LIFE, soon())
        assert await source.get(LIFE, Deadline.after(0.05)) == first
    assert calls == 1


def test_each_role_has_a_source_and_a_journal_of_its_own() -> None:

    settings = SimpleNamespace(pop_nls_meta="https://meta.example", pop_sts="https://sts.example")
    sources = TokenSources(cast(Any, settings), cast(Any, None), cast(Any, None), cast(Any, None))
    one, other = (sources.of(f"acs:ram::{account}:role/Leases") for account in ("1", "2"))
    assert len({id(one), id(other), id(sources.of())}) == 3
    assert sources.of("acs:ram::1:role/Leases") is one
    with pytest.raises(ConfigError):
        sources.of("acs:ram::1:user/somebody")
