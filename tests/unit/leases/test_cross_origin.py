"""Calls by pages in browsers."""

from __future__ import annotations

from typing import Any

import pytest

from support import asgi

OWN, OTHERS, FOREIGN = "https://app.example.com", "https://other.example.com", "https://evil.example.com"
PATHS = ["/v1/token", "/v1/uploads"]


async def preflight(world: Any, path: str, headers: dict[str, str]) -> asgi.Answer:
    sent = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key", **headers}
    return await asgi.call(world.app, "OPTIONS", path, headers=sent)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [OWN, OTHERS])
async def test_a_preflight_needs_no_key_but_an_origin_that_some_tenant_lists(
    world: Any, path: str, origin: str
) -> None:
    answer = await preflight(world, path, {"Origin": origin})
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "X-Api-Key" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{"Origin": FOREIGN}, {"Origin": "null"}, {"Origin": OWN.upper()}, {}])
async def test_any_other_preflight_is_refused(world: Any, path: str, headers: dict[str, str]) -> None:
    answer = await preflight(world, path, headers)
    assert (answer.status, answer.json()["code"]) == (403, "identity.origin")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_an_answer_may_be_read_by_pages_of_the_tenant_s_own_origin_an_error_too(world: Any) -> None:
    for body, status in (({}, 200), ({"scope": 1}, 400)):
        answer = await world.post(body, Origin=OWN)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, OWN)
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [OTHERS, FOREIGN, "null", ""])
async def test_a_page_of_any_other_origin_gets_nothing_even_with_the_right_key(world: Any, origin: str) -> None:
    answer = await world.post({}, Origin=origin)
    assert (answer.status, answer.json()["code"]) == (403, "identity.origin")
    assert "access-control-allow-origin" not in answer.headers
    assert world.api.fetched == 0


async def test_without_an_origin_nothing_is_said_of_it(world: Any) -> None:
    answer = await world.post()
    assert (answer.status, answer.headers["vary"]) == (200, "Origin")
    assert "access-control-allow-origin" not in answer.headers


async def test_a_wrong_key_is_not_told_whether_its_origin_is_right(world: Any) -> None:
    answer = await world.post(key="k-one.wrongwrongwrongwrong", Origin=OWN)
    assert answer.status == 401
    assert "access-control-allow-origin" not in answer.headers
