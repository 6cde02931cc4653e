"""A tenant's recordings are recognised with a token of the account that its AppKeys are of."""

from __future__ import annotations

import json
from typing import cast

from functions.transcripts.account_tokens import KEPT, AccountTokens
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.nls.token import SpeechToken, TokenSources
from isikit.tenants import Tenant, Tenants
from support.memory_store import MemoryStore

ROLE = "acs:ram::1234567890123456:role/speech"


class Source:
    def __init__(self, name: str) -> None:
        self.name, self.given, self.refused = name, 0, list[str]()

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        self.given += 1
        return SpeechToken(f"{self.name}-{self.given}", 2e9)

    def invalidate(self, token_id: str) -> None:
        self.refused.append(token_id)


class Sources:
    def __init__(self) -> None:
        self.made: dict[str, Source] = {}

    def of(self, role_arn: str = "") -> Source:
        return self.made.setdefault(role_arn, Source(role_arn or "own"))

    def for_tenant(self, tenant: Tenant) -> Source:
        return self.of(tenant.role_arn)


async def tokens() -> tuple[AccountTokens, Sources]:
    store, sources = MemoryStore(), Sources()
    tenants = [{"id": "acme"}, {"id": "other", "role_arn": ROLE}]
    body = json.dumps({"version": 1, "tenants": tenants}).encode()
    await store.put("config/tenants.json", body, content_type="application/json")
    return AccountTokens(cast(TokenSources, sources), Tenants(store)), sources


async def given(tokens: AccountTokens, tenant: str | None) -> str:
    deadline = Deadline.after(10)
    with context.entered(RequestContext("1-request", deadline, tenant_id=tenant)):
        return (await tokens.get(120, deadline)).id


async def test_each_tenant_gets_the_token_of_its_account() -> None:
    ours, _ = await tokens()
    assert await given(ours, "acme") == "own-1"
    assert await given(ours, "other") == f"{ROLE}-1"
    assert await given(ours, None) == "own-2"
    assert await given(ours, "nobody") == "own-3"


async def test_a_refused_token_is_forgotten_where_it_came_from() -> None:
    ours, sources = await tokens()
    await given(ours, "acme")
    ours.invalidate(await given(ours, "other"))
    ours.invalidate("never given")
    assert (sources.of().refused, sources.of(ROLE).refused) == ([], [f"{ROLE}-1"])


async def test_only_so_many_tokens_are_remembered() -> None:
    ours, sources = await tokens()
    for _ in range(KEPT + 1):
        await given(ours, "acme")
    ours.invalidate("own-1")
    ours.invalidate("own-2")
    assert sources.of().refused == ["own-2"]
