"""Thirty instances start at the same moment, and the token API is asked once."""

from __future__ import annotations

import pytest

from support.thawing import Thawing

pytestmark = pytest.mark.xdist_group("thaw")

DAY_SECONDS = 24 * 3600


def test_thirty_cold_instances_at_once_ask_for_one_token(thawing_cloud: Thawing) -> None:
    cloud = thawing_cloud
    assert cloud.local.post("/v1/token").status_code == 200  # an instance, so that the function has a name
    cloud.set_concurrency("token", 1)
    try:
        cloud.advance(DAY_SECONDS + 60)  # no token lives
        before = cloud.local.counters()
        known = {one["instance_id"] for one in cloud.instances("token")}
        answers = cloud.at_once(*[("/v1/token", {})] * 30)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["token"] for answer in answers}) == 1
        assert len({one["instance_id"] for one in cloud.instances("token")} - known) == 30
        assert cloud.local.counters()["pop.CreateToken"] - before["pop.CreateToken"] == 1
    finally:
        cloud.set_concurrency("token", 100)
