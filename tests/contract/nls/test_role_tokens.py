"""Tokens of another account, by AssumeRole, from the local STS, which knows who trusts whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from contract.nls.conftest import served
from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.errors import IsiError, TokenError
from isikit.host.context import Deadline
from isikit.nls.filetrans import FileOrder, Filetrans
from isikit.nls.pop import AssumedRole, PopTokenFetcher
from isikit.nls.token import TokenSources
from isikit.secrets import KeyRing
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from localcloud.pop import make_app
from support.sharing import Account as SharedAccount

ROLE = "acs:ram::6543210987654321:role/Leases"
FUNCTION = "role/speech-token-dev"


@dataclass
class Sts:
    """STS and the token API, and a function's credentials."""

    account: Account
    faults: Faults
    clock: Clock
    credentials: Credentials
    url: str

    def fetcher(self, role_arn: str = ROLE) -> PopTokenFetcher:
        role = AssumedRole(self.url, role_arn, self.credentials, now=self.clock.now)
        return PopTokenFetcher(self.url, self.credentials, role=role)

    def sources(self, bucket: SharedAccount) -> TokenSources:
        settings = cast(Settings, SimpleNamespace(pop_nls_meta=self.url, pop_sts=self.url))
        return TokenSources(settings, self.credentials, bucket.store, KeyRing(bucket.store))

    def asked(self, action: str) -> int:
        return self.faults.counters().get(f"pop.{action}", 0)


@pytest.fixture
async def sts() -> AsyncIterator[Sts]:
    clock, faults = Clock(), Faults()
    account = Account(clock)
    account.lend(ROLE, FUNCTION)
    session = account.open_session(FUNCTION)
    credentials = Credentials({})
    credentials.update(
        {
            "x-fc-access-key-id": session.access_key_id,
            "x-fc-access-key-secret": session.access_key_secret,
            "x-fc-security-token": session.security_token,
        }
    )
    async with served(make_app(account, faults, clock, ToneEngine())) as port:
        yield Sts(account, faults, clock, credentials, f"http://127.0.0.1:{port}")


async def test_a_role_is_assumed_once_an_hour_and_its_tokens_are_good(sts: Sts) -> None:
    fetcher = sts.fetcher()
    for _ in range(3):
        assert sts.account.speech_token_state((await fetcher.fetch(Deadline.after(10))).id) == "ok"
    assert (sts.asked("AssumeRole"), sts.asked("CreateToken")) == (1, 3)
    sts.clock.move(3400)
    await fetcher.fetch(Deadline.after(10))
    assert sts.asked("AssumeRole") == 2


@pytest.mark.parametrize("off_seconds", [-600, 600])
async def test_a_session_is_renewed_in_time_by_an_instance_ten_minutes_off(sts: Sts, off_seconds: float) -> None:
    role = AssumedRole(sts.url, ROLE, sts.credentials, now=lambda: sts.clock.now() + off_seconds)
    fetcher = PopTokenFetcher(sts.url, sts.credentials, role=role)
    await fetcher.fetch(Deadline.after(10))
    sts.clock.move(1200)
    await fetcher.fetch(Deadline.after(10))
    assert sts.asked("AssumeRole") == 1
    sts.clock.move(2500)  # its hour is over
    assert await fetcher.fetch(Deadline.after(10))
    assert sts.asked("AssumeRole") == 2


async def test_instances_share_a_roles_token_and_never_take_it_for_their_own(sts: Sts) -> None:
    bucket = SharedAccount()
    sources = [sts.sources(bucket) for _ in range(4)]
    foreign = await asyncio.gather(*(each.of(ROLE).get(600, Deadline.after(20)) for each in sources))
    own = await asyncio.gather(*(each.of().get(600, Deadline.after(20)) for each in sources))
    assert (len({token.id for token in foreign}), len({token.id for token in own})) == (1, 1)
    assert foreign[0].id != own[0].id
    assert (sts.asked("AssumeRole"), sts.asked("CreateToken")) == (1, 2)
    assert {key.rpartition("/")[0] for key in bucket.store.objects if key.startswith("tokens/")} == {
        "tokens/own",
        "tokens/role-6543210987654321-leases",
    }


@pytest.mark.parametrize(
    ("role_arn", "trusts", "code"),
    [
        (ROLE, "role/somebody-else", "pop.role_denied"),
        ("acs:ram::6543210987654321:role/nobody", FUNCTION, "pop.role_unknown"),
        ("acs:ram::6543210987654321:user/leases", FUNCTION, "pop.role_unknown"),
    ],
)
async def test_a_wrong_role_is_refused_and_named(role_arn: str, trusts: str, code: str, sts: Sts) -> None:
    sts.account.lend(ROLE, trusts)
    with pytest.raises(TokenError) as caught:
        await sts.fetcher(role_arn).fetch(Deadline.after(10))
    assert (caught.value.code, caught.value.status, sts.asked("CreateToken")) == (code, 502, 0)


async def test_a_session_that_is_refused_is_not_used_again(sts: Sts) -> None:
    fetcher = sts.fetcher()
    sts.faults.arm(operation="pop.CreateToken", action="error", code="InvalidSecurityToken.Expired")
    with pytest.raises(TokenError) as caught:
        await fetcher.fetch(Deadline.after(10))
    assert (caught.value.code, caught.value.retryable) == ("pop.security_token_invalid", True)
    assert await fetcher.fetch(Deadline.after(10))
    assert sts.asked("AssumeRole") == 2


@pytest.mark.parametrize("action", ["empty", "drop"])
async def test_an_answer_of_sts_without_credentials_is_tried_again_later(action: str, sts: Sts) -> None:
    sts.faults.arm(operation="pop.AssumeRole", action=action)
    with pytest.raises(TokenError) as caught:
        await sts.fetcher().fetch(Deadline.after(10))
    assert caught.value.retryable
    assert await sts.fetcher().fetch(Deadline.after(10))


async def test_another_accounts_queue_is_called_as_that_accounts_role(sts: Sts) -> None:
    role = AssumedRole(sts.url, ROLE, sts.credentials, now=sts.clock.now)
    queue = Filetrans(sts.url, "cn-beijing", sts.credentials, role=role)
    order = FileOrder(sts.account.add_project(sample_rate_hz=8000).appkey, "http://127.0.0.1:9/a.wav", True, False)
    tasks = [await queue.submit(order, Deadline.after(10)) for _ in range(2)]
    assert (len(set(tasks)), sts.asked("AssumeRole"), sts.asked("SubmitTask")) == (2, 1, 2)
    sts.faults.arm(operation="pop.GetTaskResult", action="error", code="InvalidSecurityToken.Expired")
    with pytest.raises(IsiError) as caught:
        await queue.result(tasks[0], Deadline.after(10))
    assert caught.value.retryable
    assert await queue.result(tasks[0], Deadline.after(10))
    assert sts.asked("AssumeRole") == 2
    await queue.close()


async def test_nothing_is_submitted_where_the_role_is_refused(sts: Sts) -> None:
    sts.account.lend(ROLE, "role/somebody-else")
    role = AssumedRole(sts.url, ROLE, sts.credentials, now=sts.clock.now)
    queue = Filetrans(sts.url, "cn-beijing", sts.credentials, role=role)
    with pytest.raises(TokenError) as caught:
        await queue.submit(FileOrder("x", "http://127.0.0.1:9/a.wav", True, False), Deadline.after(10))
    assert (caught.value.code, sts.asked("SubmitTask")) == ("pop.role_denied", 0)
