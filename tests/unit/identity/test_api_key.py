"""The API-key door: one answer for every wrong key, in the same time."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from starlette.datastructures import Headers

from isikit.errors import Refused, problem
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.identity import api_key
from support.house import API_KEY as KEY
from support.house import OTHER_API_KEY, SECRET, House


async def test_the_right_key_names_its_tenant(house: House) -> None:
    caller = await house.knock({"X-Api-Key": KEY})
    assert (caller.tenant.id, caller.door, caller.subject) == ("acme", "api_key", "k1")


async def test_the_tenant_is_known_to_the_request_from_then_on(house: House) -> None:
    with context.entered(RequestContext("1", Deadline(0))):
        await house.knock({"x-api-key": KEY})
        assert context.current().tenant_id == "acme"


def _raw(*pairs: tuple[bytes, bytes]) -> Headers:
    return Headers(raw=list(pairs))


WRONG: list[Headers] = [
    Headers({}),
    Headers({"x-api-key": ""}),
    Headers({"x-api-key": "."}),
    Headers({"x-api-key": "k1"}),
    Headers({"x-api-key": "k1."}),
    Headers({"x-api-key": "." + SECRET}),
    Headers({"x-api-key": "k1." + "t" * 43}),
    Headers({"x-api-key": "k2." + SECRET}),
    Headers({"x-api-key": "k3." + SECRET}),
    Headers({"x-api-key": KEY + "\n"}),
    Headers({"x-api-key": " " + KEY}),
    _raw((b"x-api-key", (KEY + "文").encode())),
    Headers({"x-api-key": "k1." + hashlib.sha256(SECRET.encode()).hexdigest()}),
    Headers({"x-api-key": "k1." + "s" * 100_000}),
    Headers({"x-api-key": "k" * 100_000}),
    Headers({"authorization": KEY}),
    _raw((b"x-api-key", KEY.encode()), (b"x-api-key", OTHER_API_KEY.encode())),
    _raw((b"x-api-key", KEY.encode()), (b"x-api-key", KEY.encode())),
    _raw((b"x-api-key", KEY.encode()), (b"x-api-key", b"")),
]


@pytest.mark.parametrize("headers", WRONG, ids=lambda headers: str(dict(headers))[:60])
async def test_every_wrong_key_gets_the_very_same_answer(house: House, headers: Headers) -> None:
    with pytest.raises(Refused) as raised:
        await house.knock(headers)
    assert problem(raised.value, "1") == problem(Refused(), "1")
    assert raised.value.upstream_code is None


@pytest.mark.parametrize("value", ["", "k3." + SECRET, "k1." + "t" * 43])
async def test_the_secret_is_hashed_and_compared_even_when_the_id_is_unknown(
    house: House, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    class Watched:
        @staticmethod
        def compare_digest(left: str, right: str) -> bool:
            compared.append((len(left), len(right)))
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(api_key, "hmac", Watched)
    with pytest.raises(Refused):
        await house.knock({"x-api-key": value})
    assert compared == [(64, 64)]


async def test_a_tenant_without_keys_cannot_be_entered_with_nothing(house: House) -> None:
    house.write_tenants({"id": "acme"})
    with pytest.raises(Refused):
        await house.knock({"x-api-key": "."})
