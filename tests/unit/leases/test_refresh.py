"""When a client comes for its next lease."""

from __future__ import annotations

from typing import Any

import pytest

from functions.leases.refresh import refresh_in

LIVES = [60, 61, 300, 600, 660, 3600, 43_200, 86_400]
LEAST = [60, 600, 43_200]


@pytest.mark.parametrize(("life", "least"), [(life, least) for life in LIVES for least in LEAST if life >= least])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_client_comes_before_its_lease_falls_below_the_minimum(life: int, least: int, chance: float) -> None:
    moment = refresh_in(life, least, lambda: chance)
    assert 1 <= moment < life
    if life >= least + 60:
        assert life - moment >= least


def test_clients_of_one_token_come_spread_over_more_than_two_hours_when_it_has_been_renewed() -> None:
    first, last = (refresh_in(86_400, 600, lambda chance=chance: chance) for chance in (0.0, 1.0))
    assert (first, last) == (int(86_400 * 0.8), int(86_400 * 0.9))


def test_in_an_outage_the_last_lease_is_renewed_within_a_minute_and_not_at_once() -> None:
    assert [refresh_in(600, 600, lambda chance=chance: chance) for chance in (0.0, 1.0)] == [53, 60]


async def test_a_tenant_s_own_minimum_is_what_no_lease_is_below(world: Any) -> None:
    world.tenant(lease_min_life_seconds=43_200)
    world.api.life_seconds = 43_199
    answer = await world.post()
    assert (answer.status, answer.json()["code"]) == (502, "pop.token_too_short")
    world.api.life_seconds = 43_300
    assert (await world.post()).json()["expires_in"] >= 43_200
