"""A lease says how long its token lives, whatever this machine takes for the time."""

from __future__ import annotations

from typing import Any

import pytest

from support.sharing import Account


@pytest.mark.parametrize("off_seconds", [-600.0, 0.0, 600.0])
async def test_an_instance_whose_clock_is_ten_minutes_off_tells_the_true_end(off_seconds: float, world: Any) -> None:
    account = Account()
    world.tokens.source = account.instance(clock_off_seconds=off_seconds)
    lease = (await world.post()).json()
    assert abs(lease["expires_in"] - account.api.life_seconds) <= 1
    assert lease["refresh_at"] < lease["expires_at"]
