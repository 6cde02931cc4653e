"""Makes what the functions find at their first request: buckets, the key file and the tenants file.

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
CONSUMER = "demo"
APP_ID = "100000001"
"""The tenant's names at the cloud-native and at the traditional gateway."""
KEYS = "config/keys.json"
KEPT_DAYS = {
    "prompts": {"e/": 2, "masters/e/": 2},  # a day prompt's life is a day; this only sweeps
    # Texts with names and amounts, transcripts long published, and copies of recordings that the service has had.
    "state": {"day-recipes/": 2, "attempts/": 30, "work/": 7, "quotas/": 30, "pacing/": 30},
}
"""What OSS deletes by itself, by bucket and prefix. Never journals that are still read (quotas are for a day)."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The tenant that local.json names, with the only copies of its API key and its consumer's key at the gateway."""

    id: str
    api_key: str = field(repr=False)
    consumer_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the gateways prove themselves with."""

    route: tuple[str, ...] = field(repr=False)
    app: tuple[str, ...] = field(repr=False)


def buckets(endpoints: Endpoints, names: dict[str, str]) -> None:
    """Create the private buckets that are missing; `names` maps `prompts`, `recordings`, `state` to bucket names."""
    for kind, name in names.items():
        bucket = endpoints.bucket(name)
        try:
            bucket.create_bucket(oss2.BUCKET_ACL_PRIVATE)
        except oss2.exceptions.ServerError as error:
            if error.code != "BucketAlreadyExists":
                raise
            bucket.get_bucket_info()  # refused where somebody else owns it: names are global
        if kept := KEPT_DAYS.get(kind):
            bucket.put_bucket_lifecycle(oss2.models.BucketLifecycle([_expiry(*rule) for rule in kept.items()]))


def keys(endpoints: Endpoints, state: str) -> Secrets:
    """Write the key file once, or add to it what it lacks; what is there, above all the master, is never changed.

    Returns
    -------
    Secrets
        What the gateways have to be told.
    """
    bucket = endpoints.bucket(state)
    made: dict[str, Any] = {
        "version": 1,
        "master": base64.b64encode(secrets.token_bytes(32)).decode(),
        "route_secrets": [secrets.token_urlsafe(32)],
        "app_secrets": [secrets.token_urlsafe(32)],
        "webhooks": {TENANT_ID: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()},
    }
    try:
        bucket.put_object(KEYS, json.dumps(made), headers={"x-oss-forbid-overwrite": "true"})
        found = made
    except oss2.exceptions.ServerError as error:
        if error.code != "FileAlreadyExists":
            raise
        found = json.loads(bucket.get_object(KEYS).read())
        whole = {**made, **found}
        if whole != found:
            bucket.put_object(KEYS, json.dumps(whole))
            found = whole
    return Secrets(tuple(found["route_secrets"]), tuple(found["app_secrets"]))


def tenant(endpoints: Endpoints, state: str) -> Tenant:
    """Write a tenants file with one tenant that may do everything, and return its new keys."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    entry: dict[str, Any] = {
        "id": TENANT_ID,
        "api_keys": [{"id": key_id, "sha256": hashlib.sha256(secret.encode()).hexdigest()}],
        "consumers": [CONSUMER],
        "apps": [APP_ID],
        "lease": True,
        "appkeys": [
            {"appkey": endpoints.appkey, "locale": "zh-CN", "sample_rate_hz": 16000},
            {"appkey": endpoints.appkey_8k, "locale": "zh-CN", "sample_rate_hz": 8000},
        ],
        "default_locale": "zh-CN",
        "default_voice": {
            "zh-CN": "xiaoyun",
            "en-US": "abby",
            "zh-HK": "shanshan",
        },  # xiaoyun reads Chinese and English
        "retention": "day",
    }
    body = json.dumps({"version": 1, "tenants": [entry]}, indent=2)
    endpoints.bucket(state).put_object("config/tenants.json", body)
    return Tenant(TENANT_ID, f"{key_id}.{secret}", secrets.token_urlsafe(32))


def _expiry(prefix: str, days: int) -> Any:
    return oss2.models.LifecycleRule(
        f"expire-{prefix.strip('/').replace('/', '-')}",
        prefix,
        status=oss2.models.LifecycleRule.ENABLED,
        expiration=oss2.models.LifecycleExpiration(days=days),
    )
