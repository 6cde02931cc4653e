"""An API-Gateway client leases a token and speaks with the official SDK."""

from __future__ import annotations

import pytest

from ops.demo import lease
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")


def test_a_lease_lets_the_unmodified_sdk_speak(local: Local) -> None:
    answer = local.post("/v1/token", json={"use": "tts"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    granted = answer.json()
    promised = "token expires_at expires_in refresh_at refresh_in appkey start_params tenant region endpoints"
    assert set(granted) == set(promised.split())
    assert 600 <= granted["refresh_in"] < granted["expires_in"]
    assert len(lease.speak(granted, "Hello from the desk.")) > 16000


def test_many_leases_cost_one_token(local: Local) -> None:
    before = local.counters().get("pop.CreateToken", 0)
    assert len({local.post("/v1/token").json()["token"] for _ in range(5)}) == 1
    assert local.counters()["pop.CreateToken"] <= before + 1


def test_an_unknown_field_or_use_is_told(local: Local) -> None:
    answer = local.post("/v1/token", json={"use": "everything", "scope": 1})
    assert answer.status_code == 400
    assert {"use", "scope"} <= {error["field"] for error in answer.json()["errors"]}


def test_without_a_key_there_is_no_lease(local: Local) -> None:
    assert local.post("/v1/token", headers={}).status_code == 401
