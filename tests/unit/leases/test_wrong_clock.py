"""A lease says how long its token lives, whatever this machine takes for the time."""

from __future__ import annotations

from typing import Any

import pytest

from functions.leases import service as leases
from functions.prompts import service as prompts
from isikit import config, objects
from isikit.config import Settings
from isikit.objects import Stores
from support.memory_store import memory_stores
from support.sharing import Account


@pytest.mark.parametrize("off_seconds", [-600.0, 0.0, 600.0])
async def test_an_instance_whose_clock_is_ten_minutes_off_tells_the_true_end(off_seconds: float, world: Any) -> None:
    account = Account()
    world.tokens.source = account.instance(clock_off_seconds=off_seconds)
    lease = (await world.post()).json()
    assert abs(lease["expires_in"] - account.api.life_seconds) <= 1
    assert lease["refresh_at"] < lease["expires_at"]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Addresses where nobody is, and buckets in memory."""
    addresses = {"ISI_PUBLIC_BASE_URL": "http://127.0.0.1:1", "ISI_NLS_WEBSOCKET": "ws://127.0.0.1:1/ws/v1"}
    addresses["ISI_NLS_PUBLIC_WEBSOCKET"] = addresses["ISI_NLS_WEBSOCKET"]
    for name in ("OSS_INTERNAL", "OSS_PUBLIC", "NLS_REST", "NLS_PUBLIC_REST", "POP_NLS_META", "FC_ENDPOINT"):
        addresses[f"ISI_{name}"] = "http://127.0.0.1:1"
    for name in ("PROMPTS", "RECORDINGS", "STATE"):
        addresses[f"ISI_BUCKET_{name}"] = f"the-{name.lower()}"
    stores: Stores = memory_stores()
    monkeypatch.setattr(objects, "stores", lambda: stores)
    return config.load(addresses)


def test_what_an_instance_is_made_of_goes_by_the_clock_of_oss(settings: Settings) -> None:
    ours = leases.from_settings(settings)
    assert ours.uploads.clock == ours.uploads.presigner._clock == ours.tenants.now
    theirs = prompts.from_settings(settings)
    assert theirs.clock == theirs.tenants.now
