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


@dataclass(frozen=True, slots=True)
class Tenant:
    """The tenant that local.json names, with the only copy of its API key."""

    id: str
    api_key: str = field(repr=False)


def buckets(endpoints: Endpoints, names: dict[str, str]) -> None:
    """Create the private buckets that are missing; `names` maps `prompts`, `recordings`, `state` to bucket names."""
    for name in names.values():
        bucket = _bucket(endpoints, name)
        try:
            bucket.create_bucket(oss2.BUCKET_ACL_PRIVATE)
        except oss2.exceptions.ServerError as error:
            if error.code != "BucketAlreadyExists":
                raise


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


def _bucket(endpoints: Endpoints, name: str) -> Any:
    auth = oss2.AuthV4(endpoints.access_key_id, endpoints.access_key_secret)
    return oss2.Bucket(auth, endpoints.oss, name, region=endpoints.region, connect_timeout=10)
