"""Makes what the functions find at their first request: buckets, the master key and the tenants file.

Everything can be run again: what is there is kept, only the tenants file is written anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import oss2

from ops.endpoints import Endpoints

TENANT_ID = "demo"
KEPT_DAYS = {
    "prompts": {"e/": 2, "masters/e/": 2},  # a day prompt's life is a day; this only sweeps
    "state": {"day-recipes/": 2, "attempts/": 30},  # texts with names and amounts, and transcripts long published
}
"""What OSS deletes by itself, by bucket and prefix. Never journals: somebody may be reading one."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The tenant that local.json names, with the only copy of its API key."""

    id: str
    api_key: str = field(repr=False)


def buckets(endpoints: Endpoints, names: dict[str, str]) -> None:
    """Create the private buckets that are missing; `names` maps `prompts`, `recordings`, `state` to bucket names."""
    for kind, name in names.items():
        bucket = _bucket(endpoints, name)
        try:
            bucket.create_bucket(oss2.BUCKET_ACL_PRIVATE)
        except oss2.exceptions.ServerError as error:
            if error.code != "BucketAlreadyExists":
                raise
            bucket.get_bucket_info()  # refused where somebody else owns it: names are global
        if kept := KEPT_DAYS.get(kind):
            bucket.put_bucket_lifecycle(oss2.models.BucketLifecycle([_expiry(*rule) for rule in kept.items()]))


def master_key(endpoints: Endpoints, state: str) -> None:
    """Write a random master key once; the first writer wins and nobody overwrites it."""
    body = json.dumps({"version": 1, "master": base64.b64encode(secrets.token_bytes(32)).decode()})
    try:
        _bucket(endpoints, state).put_object("config/keys.json", body, headers={"x-oss-forbid-overwrite": "true"})
    except oss2.exceptions.ServerError as error:
        if error.code != "FileAlreadyExists":
            raise


def tenant(endpoints: Endpoints, state: str) -> Tenant:
    """Write a tenants file with one tenant that may do everything, and return its new API key."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    entry: dict[str, Any] = {
        "id": TENANT_ID,
        "api_keys": [{"id": key_id, "sha256": hashlib.sha256(secret.encode()).hexdigest()}],
        "lease": True,
        "appkeys": [{"appkey": endpoints.appkey, "locale": "zh-CN", "sample_rate_hz": 16000}],
        "default_locale": "zh-CN",
        "default_voice": {
            "zh-CN": "xiaoyun",
            "en-US": "abby",
            "zh-HK": "shanshan",
        },  # xiaoyun reads Chinese and English
        "retention": "day",
    }
    body = json.dumps({"version": 1, "tenants": [entry]}, indent=2)
    _bucket(endpoints, state).put_object("config/tenants.json", body)
    return Tenant(TENANT_ID, f"{key_id}.{secret}")


def _expiry(prefix: str, days: int) -> Any:
    return oss2.models.LifecycleRule(
        f"expire-{prefix.strip('/').replace('/', '-')}",
        prefix,
        status=oss2.models.LifecycleRule.ENABLED,
        expiration=oss2.models.LifecycleExpiration(days=days),
    )


def _bucket(endpoints: Endpoints, name: str) -> Any:
    auth = oss2.AuthV4(endpoints.access_key_id, endpoints.access_key_secret)
    return oss2.Bucket(auth, endpoints.oss, name, region=endpoints.region, connect_timeout=10)
