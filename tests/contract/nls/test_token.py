"""Tokens from the local token API, which verifies every signature: by the official SDK, with STS, once for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from contract.nls.conftest import served
from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.errors import DeadlineExceeded, TokenError
from isikit.host.context import Deadline
from isikit.nls.pop import PopTokenFetcher
from isikit.nls.token import SpeechToken, TokenSource
from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.pop import make_app


@dataclass
class Api:
    """The token API, its account, and the function's credentials."""

    account: Account
    faults: Faults
    clock: Clock
    credentials: Credentials
    url: str

    def use(self, key: AccessKey) -> None:
        self.credentials.update(
            {
                "x-fc-access-key-id": key.access_key_id,
                "x-fc-access-key-secret": key.access_key_secret,
                "x-fc-security-token": key.security_token,
            }
        )

    def source(self) -> TokenSource:
        settings = cast(Settings, SimpleNamespace(pop_nls_meta=self.url))
        return TokenSource(settings, self.credentials, now=self.clock.now, sleep=_no_pause)

    def asked(self) -> int:
        return self.faults.counters().get("pop.CreateToken", 0)


async def _no_pause(seconds: float) -> None:
    """Retries at once: how long they wait is tested elsewhere."""


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    clock, faults = Clock(), Faults()
    account = Account(clock)
    async with served(make_app(account, faults, clock)) as port:
        one = Api(account, faults, clock, Credentials({}), f"http://127.0.0.1:{port}")
        one.use(account.open_session("acs:ram::1234567890123456:role/speech"))
        yield one


@pytest.fixture
def deadline() -> Iterator[Deadline]:
    yield Deadline.after(15)


async def test_a_token_comes_with_its_true_end(api: Api, deadline: Deadline) -> None:
    token = await api.source().get(600, deadline)
    assert api.account.speech_token_state(token.id) == "ok"
    assert abs(token.expires_at - time.time() - 24 * 3600) < 60
    assert token.id not in repr(token)


async def test_a_long_lived_key_works_too(api: Api, deadline: Deadline) -> None:
    api.use(api.account.root)
    assert api.account.speech_token_state((await api.source().get(600, deadline)).id) == "ok"


async def test_many_who_ask_at_once_cause_one_call(api: Api, deadline: Deadline) -> None:
    source = api.source()
    tokens = await asyncio.gather(*(source.get(600, deadline) for _ in range(50)))
    assert (len({token.id for token in tokens}), api.asked()) == (1, 1)


async def test_a_refused_token_is_fetched_anew_but_a_newer_one_stays(api: Api, deadline: Deadline) -> None:
    source = api.source()
    first = await source.get(600, deadline)
    source.invalidate(first.id)
    second = await source.get(600, deadline)
    source.invalidate(first.id)
    assert (await source.get(600, deadline)).id == second.id != first.id
    assert api.asked() == 2


async def test_the_last_fifth_of_life_renews_it(api: Api, deadline: Deadline) -> None:
    source = api.source()
    first = await source.get(600, deadline)
    api.clock.move(0.79 * 24 * 3600)
    assert (await source.get(600, deadline)).id == first.id
    api.clock.move(0.02 * 24 * 3600)
    assert (await source.get(600, deadline)).id != first.id
    assert api.asked() == 2


async def test_an_outage_costs_nothing_while_the_token_lives(api: Api, deadline: Deadline) -> None:
    source = api.source()
    first = await source.get(600, deadline)
    api.clock.move(0.9 * 24 * 3600)
    api.use(api.account.open_session("acs:ram::1234567890123456:role/speech"))
    api.faults.arm(operation="pop.CreateToken", action="error", status=503, times=99)
    for _ in range(20):
        assert (await source.get(600, deadline)).id == first.id
    assert api.asked() <= 4  # one renewal was tried, then there is rest for half a minute
    api.clock.move(24 * 3600)
    api.use(api.account.open_session("acs:ram::1234567890123456:role/speech"))
    with pytest.raises(TokenError) as caught:
        await source.get(600, deadline)
    assert caught.value.code == "pop.unavailable"


async def test_a_hiccup_is_tried_again(api: Api, deadline: Deadline) -> None:
    api.faults.arm(operation="pop.CreateToken", action="error", status=503)
    assert (await api.source().get(600, deadline)).expires_at > time.time()
    assert api.asked() == 2


@pytest.mark.parametrize(
    ("fault", "code", "tries"),
    [
        ({"action": "business", "code": "40020503", "value": "No permission"}, "pop.ram_denied", 1),
        ({"action": "error", "code": "Throttling.User"}, "pop.throttled", 3),
        ({"action": "error", "code": "InvalidAccessKeyId.NotFound"}, "pop.access_key_unknown", 1),
        ({"action": "drop"}, "pop.unreachable", 3),
    ],
    ids=lambda value: value.get("code", value["action"]) if isinstance(value, dict) else str(value),
)
async def test_failures_have_our_codes_and_no_text_of_the_service(
    fault: dict[str, str], code: str, tries: int, api: Api
) -> None:
    api.faults.arm(operation="pop.CreateToken", times=9, **fault)
    with pytest.raises(TokenError) as caught:
        await api.source().get(600, Deadline.after(15))
    assert (caught.value.code, api.asked()) == (code, tries)
    assert "No permission" not in str(caught.value)


async def test_dead_credentials_are_named(api: Api, deadline: Deadline) -> None:
    api.clock.move(40 * 3600)
    with pytest.raises(TokenError) as caught:
        await api.source().get(600, deadline)
    assert caught.value.code == "pop.security_token_invalid"


async def test_a_slow_api_ends_with_the_deadline_and_the_others_still_get_their_token(api: Api) -> None:
    api.faults.arm(operation="pop.CreateToken", action="delay", seconds=1.0)
    source = api.source()
    impatient = asyncio.create_task(source.get(600, Deadline.after(0.3)))
    patient = asyncio.create_task(source.get(600, Deadline.after(10)))
    with pytest.raises(DeadlineExceeded):
        await impatient
    assert (await patient).expires_at > time.time()
    assert api.asked() == 1


async def test_tokens_shorter_than_the_minimum_are_not_given_out(api: Api, deadline: Deadline) -> None:
    with pytest.raises(TokenError) as caught:
        await api.source().get(48 * 3600, deadline)
    assert caught.value.code == "pop.token_too_short"


@pytest.mark.parametrize("endpoint", ["http://nls-meta.cn-shanghai.aliyuncs.com", "nls-meta.cn-shanghai.aliyuncs.com"])
def test_beyond_this_machine_it_is_https_and_nothing_else(endpoint: str) -> None:
    fetcher = PopTokenFetcher(endpoint, Credentials({}))
    assert (fetcher._api.scheme, fetcher._api.host, fetcher._api.region) == (
        *("https", "nls-meta.cn-shanghai.aliyuncs.com"),
        "cn-shanghai",
    )


@pytest.mark.parametrize("turns", range(8))
async def test_a_request_that_goes_while_its_token_comes_stays_gone(turns: int, deadline: Deadline) -> None:
    came: asyncio.Future[SpeechToken] = asyncio.get_running_loop().create_future()

    class Fetcher:
        async def fetch(self, deadline: Deadline) -> SpeechToken:
            return await came

    source = TokenSource(cast(Settings, SimpleNamespace()), Credentials({}), fetcher=Fetcher())
    request = asyncio.create_task(source.get(30, deadline))
    for _ in range(10):
        await asyncio.sleep(0)
    came.set_result(SpeechToken("f" * 32, time.time() + 3600))
    for _ in range(turns):
        await asyncio.sleep(0)
    if request.cancel():  # else it had its token already
        with pytest.raises(asyncio.CancelledError):
            await request
