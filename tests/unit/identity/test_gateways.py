"""The doors of the two gateways: a name counts only beside the secret that the gateway alone knows."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from isikit.errors import KeysUnavailable, Refused, TenantsUnavailable
from isikit.host.traditional import CALL, GatewayCall
from support.house import API_KEY, APP_SECRET, ROUTE_SECRET, House, entry

GATEWAY = {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": ROUTE_SECRET}


def _legacy(app_id: str = "1001", secret: str = APP_SECRET) -> dict[str, Any]:
    return {CALL: GatewayCall(app_id, secret)}


async def test_a_consumer_beside_the_routes_secret_is_let_in(house: House) -> None:
    caller = await house.knock(GATEWAY)
    assert (caller.tenant.id, caller.door, caller.subject) == ("acme", "gateway", "acme-gw")


async def test_what_the_gateway_left_in_authorization_is_its_own_business(house: House) -> None:
    caller = await house.knock({**GATEWAY, "Authorization": "Bearer key-at-the-gateway"})
    assert (caller.tenant.id, caller.door) == ("acme", "gateway")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Mse-Consumer": "acme-gw"},
        {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": ""},
        {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": ROUTE_SECRET[:-1]},
        {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": ROUTE_SECRET + "r"},
        {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": APP_SECRET},
        {"X-Mse-Consumer": "nobody", "X-Route-Secret": ROUTE_SECRET},
        {"X-Mse-Consumer": "", "X-Route-Secret": ROUTE_SECRET},
        {"X-Mse-Consumer": "acme", "X-Route-Secret": ROUTE_SECRET},
        {"X-Mse-Consumer": "k1", "X-Route-Secret": ROUTE_SECRET},
        {"X-Mse-Consumer": "1001", "X-Route-Secret": ROUTE_SECRET},
        {"X-Route-Secret": ROUTE_SECRET},
        {**GATEWAY, "X-Api-Key": API_KEY},
        {**GATEWAY, "X-Authorization": "Bearer x"},
        {**GATEWAY, "CaAppId": "1001"},
    ],
    ids=str,
)
async def test_a_name_without_its_proof_or_beside_another_is_refused(house: House, headers: dict[str, str]) -> None:
    with pytest.raises(Refused):
        await house.knock(headers)


@pytest.mark.parametrize("name", ["x-mse-consumer", "x-route-secret"])
async def test_a_mark_that_comes_twice_is_refused(house: House, name: str) -> None:
    raw = [(key.lower().encode(), value.encode()) for key, value in GATEWAY.items()]
    with pytest.raises(Refused):
        await house.knock(Headers(raw=[*raw, next(pair for pair in raw if pair[0] == name.encode())]))


async def test_while_a_secret_is_exchanged_both_hold_and_the_new_one_at_once(house: House) -> None:
    new = "n" * 43
    await house.knock(GATEWAY)
    house.write_keys(route_secrets=[ROUTE_SECRET, new])
    house.clock.move(31)
    for secret in (new, ROUTE_SECRET):
        assert (await house.knock({**GATEWAY, "X-Route-Secret": secret})).tenant.id == "acme"


async def test_a_secret_that_was_taken_out_is_believed_for_five_minutes_at_most(house: House) -> None:
    await house.knock(GATEWAY)
    house.write_keys(route_secrets=["n" * 43])
    house.clock.move(301)
    with pytest.raises(Refused):
        await house.knock(GATEWAY)


async def test_guessing_does_not_read_the_key_file_each_time(house: House) -> None:
    before = house.store.calls["get"]
    for number in range(20):
        with pytest.raises(Refused):
            await house.knock({**GATEWAY, "X-Route-Secret": f"{number:043}"})
    assert house.store.calls["get"] - before <= 2  # tenants and keys


async def test_without_secrets_in_the_key_file_the_doors_are_shut(house: House) -> None:
    house.write_keys()
    for headers in ({"X-Mse-Consumer": "acme-gw", "X-Route-Secret": ""}, GATEWAY):
        with pytest.raises(Refused):
            await house.knock(headers)
    with pytest.raises(Refused):
        await house.knock({}, **_legacy(secret=""))


async def test_without_a_key_file_a_gateway_cannot_be_judged_and_api_keys_can(house: House) -> None:
    del house.store.objects["config/keys.json"]
    with pytest.raises(KeysUnavailable):
        await house.knock(GATEWAY)
    assert (await house.knock({"X-Api-Key": API_KEY})).tenant.id == "acme"


async def test_an_application_beside_the_constant_is_let_in(house: House) -> None:
    caller = await house.knock({}, **_legacy())
    assert (caller.tenant.id, caller.door, caller.subject) == ("acme", "legacy_gateway", "1001")


@pytest.mark.parametrize(
    ("app_id", "secret"),
    [("null", APP_SECRET), ("", APP_SECRET), ("9999", APP_SECRET), ("1001", ""), ("1001", ROUTE_SECRET), ("1001", "a")],
)
async def test_an_application_that_is_anonymous_unknown_or_not_proved_is_refused(
    house: House, app_id: str, secret: str
) -> None:
    with pytest.raises(Refused):
        await house.knock({}, **_legacy(app_id, secret))


@pytest.mark.parametrize(
    "headers", [{"X-Api-Key": API_KEY}, {"Authorization": "Bearer x"}, {"X-Mse-Consumer": "acme-gw"}, GATEWAY], ids=str
)
async def test_through_the_traditional_gateway_no_other_credential_counts(
    house: House, headers: dict[str, str]
) -> None:
    for call in (_legacy(), _legacy("null")):
        with pytest.raises(Refused):
            await house.knock(headers, **call)


async def test_an_application_called_null_cannot_be_written_down(house: House) -> None:
    house.write_tenants(entry("acme", "k1", "s" * 43, apps=["null"]))
    with pytest.raises(TenantsUnavailable):
        await house.knock({}, **_legacy("null"))
