"""The tenants file changes under deployed functions: a good version counts within half a minute, a bad one never."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.lease_tenants import bucket_of, key_of, tenant
from support.thawing import Thawing

pytestmark = pytest.mark.xdist_group("thaw")

FILE = "config/tenants.json"
LOOKED_AT_SECONDS = 31
MISTAKEN = ("id", "lease", "rates.leases")


def refusals(cloud: Thawing) -> list[dict[str, Any]]:
    """The events of refused versions that the leases function has logged."""
    lines = [
        json.loads(line)
        for file in (cloud.local.out / "logs").glob("speech-token-*.jsonl")
        for line in file.read_text().splitlines()
        if line.startswith("{")
    ]
    return [line for line in lines if line["event"] == "tenants.refused"]


def test_a_bad_version_is_refused_with_all_its_mistakes_and_the_good_one_kept_until_the_next(
    thawing_cloud: Thawing,
) -> None:
    cloud = thawing_cloud
    bucket = bucket_of(cloud.local, cloud.local.config["oss"]["buckets"]["state"])
    before = bucket.get_object(FILE).read()
    content = json.loads(before)

    def published(*tenants: Any) -> None:
        bucket.put_object(FILE, json.dumps({**content, "tenants": [*content["tenants"], *tenants]}))
        cloud.advance(LOOKED_AT_SECONDS)

    def asked(tenant_id: str) -> int:
        return cloud.local.post("/v1/uploads", headers=key_of(tenant_id), json={"extension": "wav"}).status_code

    try:
        assert (asked("late"), cloud.local.post("/v1/token").status_code) == (401, 200)
        seen = len(refusals(cloud))
        published(tenant("late"), {"id": "Wrong!", "lease": "yes", "rates": {"leases": "often"}})
        assert (asked("late"), cloud.local.post("/v1/token").status_code) == (401, 200)
        told = refusals(cloud)[seen:]
        assert {line["level"] for line in told} == {"error"}
        wrong = f"tenants[{len(content['tenants']) + 1}]"
        assert {line["field"] for line in told if "field" in line} == {f"{wrong}.{field}" for field in MISTAKEN}
        published(tenant("late"))
        assert (asked("late"), cloud.local.post("/v1/token").status_code) == (200, 200)
        published()
        assert asked("late") == 401
    finally:
        bucket.put_object(FILE, before)
        cloud.advance(LOOKED_AT_SECONDS)
