"""Tenants beside the one of `scripts/up`, for end-to-end tests of leases and uploads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import oss2
import requests

from ops.cross_origin import allow_uploads
from ops.endpoints import Endpoints
from support.local_cloud import Local
from support.login import Login

ORIGIN, OTHER_ORIGIN, FOREIGN_ORIGIN = "https://app.example.com", "https://desk.example.com", "https://evil.example.com"
OTHER_ACCOUNTS_ROLE = "acs:ram::6543210987654321:role/leases"
SECRET = "for-tests-only-" + "s" * 28


def key_of(tenant_id: str) -> dict[str, str]:
    """The header of one of these tenants."""
    return {"X-Api-Key": f"{tenant_id}.{SECRET}"}


def add(cloud: Local, login: Login) -> None:
    """Write them into the tenants file of a localcloud that nobody has called yet; open its bucket to their pages."""
    appkeys = [{"appkey": cloud.config["nls"]["appkey"], "locale": "zh-CN", "sample_rate_hz": 16000}]
    state, recordings = (cloud.config["oss"]["buckets"][kind] for kind in ("state", "recordings"))
    bucket = bucket_of(cloud, state)
    content = json.loads(bucket.get_object("config/tenants.json").read())
    content["tenants"] += [
        tenant("web", lease=True, appkeys=appkeys, origins=[ORIGIN]),
        tenant("desk", origins=[OTHER_ORIGIN]),
        {"id": "staff", "lease": True, "appkeys": appkeys, "jwt": login.doors},
        tenant("apart", lease=True, appkeys=appkeys, role_arn=OTHER_ACCOUNTS_ROLE),
        tenant("limited", lease=True, appkeys=appkeys, rates={"leases": "2/hour"}, quotas={"uploads": 1}),
    ]
    bucket.put_object("config/tenants.json", json.dumps(content))
    trusting = {"role_arn": OTHER_ACCOUNTS_ROLE, "trusts": ["role/speech-token-local"]}
    requests.post(cloud.config["admin"] + "/roles", json=trusting, timeout=10).raise_for_status()
    allow_uploads(Endpoints.read(Path(cloud.out) / "run" / "endpoints.json"), state, recordings)


def bucket_of(cloud: Local, name: str) -> oss2.Bucket:
    """A bucket, as its owner sees it."""
    key, oss = cloud.config["credentials"], cloud.config["oss"]
    auth = oss2.AuthV4(key["access_key_id"], key["access_key_secret"])
    return oss2.Bucket(auth, oss["endpoint"], name, region=oss["region"])


def tenant(tenant_id: str, **more: Any) -> dict[str, Any]:
    """One entry of the tenants file, with the API key of `key_of`."""
    return {
        "id": tenant_id,
        "api_keys": [{"id": tenant_id, "sha256": hashlib.sha256(SECRET.encode()).hexdigest()}],
        **more,
    }
