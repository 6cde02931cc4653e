"""The API-key door: one answer for every wrong key, in the same time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import pytest
from starlette.datastructures import Headers

from isikit import identity
from isikit.errors import Refused, problem
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.identity import identify
from isikit.tenants import ApiKey, Tenant, TenantsFile

SECRET = "s" * 43
KEY = f"k1.{SECRET}"
TENANTS = TenantsFile(
    version=1,
    tenants=(
        Tenant("acme", (ApiKey("k1", hashlib.sha256(SECRET.encode()).hexdigest()),)),
        Tenant("other", (ApiKey("k2", hashlib.sha256(b"o" * 43).hexdigest()),)),
    ),
)


def test_the_right_key_names_its_tenant() -> None:
    assert identify({"x-api-key": KEY}, TENANTS).id == "acme"
    assert identify(Headers({"X-Api-Key": KEY}), TENANTS).id == "acme"


def test_the_tenant_is_known_to_the_request_from_then_on() -> None:
    with context.entered(RequestContext("1", Deadline(0))):
        identify({"x-api-key": KEY}, TENANTS)
        assert context.current().tenant_id == "acme"


WRONG: list[Mapping[str, str]] = [
    {},
    {"x-api-key": ""},
    {"x-api-key": "k1"},
    {"x-api-key": "k1."},
    {"x-api-key": "." + SECRET},
    {"x-api-key": "k1." + "t" * 43},
    {"x-api-key": "k2." + SECRET},
    {"x-api-key": "k3." + SECRET},
    {"x-api-key": KEY + "\n"},
    {"x-api-key": " " + KEY},
    {"x-api-key": KEY + "文"},
    {"x-api-key": "k1." + hashlib.sha256(SECRET.encode()).hexdigest()},
    {"x-api-key": "k1." + "s" * 100_000},
    {"x-api-key": "k" * 100_000},
    {"authorization": KEY},
    Headers(raw=[(b"x-api-key", KEY.encode()), (b"x-api-key", b"k2." + b"o" * 43)]),
    Headers(raw=[(b"x-api-key", KEY.encode()), (b"x-api-key", KEY.encode())]),
]


@pytest.mark.parametrize("headers", WRONG, ids=lambda headers: str(dict(headers))[:60])
def test_every_wrong_key_gets_the_very_same_answer(headers: Mapping[str, str]) -> None:
    with pytest.raises(Refused) as raised:
        identify(headers, TENANTS)
    assert problem(raised.value, "1") == problem(Refused(), "1")
    assert raised.value.upstream_code is None


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "k3." + SECRET}, {"x-api-key": "k1." + "t" * 43}])
def test_the_secret_is_hashed_and_compared_even_when_the_id_is_unknown(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    class Watched:
        @staticmethod
        def compare_digest(left: str, right: str) -> bool:
            compared.append((len(left), len(right)))
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(identity, "hmac", Watched)
    with pytest.raises(Refused):
        identify(headers, TENANTS)
    assert compared == [(64, 64)]


def test_a_tenant_without_keys_cannot_be_entered_with_nothing() -> None:
    with pytest.raises(Refused):
        identify({"x-api-key": "."}, TenantsFile(version=1, tenants=(Tenant("acme"),)))
