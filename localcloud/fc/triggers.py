"""Rules of triggers: what a configuration may hold, which OSS rules overlap, which event a rule takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.fc import cron
from localcloud.fc.errors import FcError, invalid, not_built
from localcloud.fc.http_trigger import METHODS
from localcloud.fc.model import Trigger

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
TRIGGERS_PER_FUNCTION = 50
OSS_RULES_PER_BUCKET = 10
_CREATED = (
    "*",
    "PutObject",
    "PostObject",
    "CompleteMultipartUpload",
    "PutSymlink",
    "CopyObject",
    "InitiateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "AppendObject",
)
OSS_EVENTS = frozenset(
    [f"oss:ObjectCreated:{name}" for name in _CREATED]
    + [f"oss:ObjectRemoved:{name}" for name in ("*", "DeleteObject", "DeleteObjects", "AbortMultipartUpload")]
    + ["oss:ObjectModified:UpdateObjectMeta", "oss:ObjectReplication:*"]
)


def parse_config(kind: str, text: str) -> dict[str, Any]:
    """The `triggerConfig` of a trigger of `kind`, checked, with defaults filled in.

    Raises
    ------
    FcError
        400 for a configuration that Function Compute refuses, 501 for a kind that localcloud does not have.
    """
    try:
        config = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise invalid("triggerConfig is not JSON") from error
    if not isinstance(config, dict):
        raise invalid("triggerConfig is not a JSON object")
    checks = {"http": _check_http, "oss": _check_oss, "timer": _check_timer}
    if kind not in checks:
        raise not_built(f"triggers of type {kind!r}")
    return checks[kind](config)


def _only(config: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(set(config) - known)
    if unknown:
        raise invalid(f"{what} does not have {', '.join(unknown)}")


def _check_http(config: dict[str, Any]) -> dict[str, Any]:
    _only(config, {"authType", "methods", "disableURLInternet", "authConfig", "corsConfig"}, "an HTTP triggerConfig")
    auth_type = config.get("authType") or "function"  # the API's default is request signatures
    if auth_type not in ("anonymous", "function"):
        raise not_built(f"authType {auth_type!r}")
    methods = config.get("methods")
    if not isinstance(methods, list) or not methods or set(methods) - set(METHODS):
        raise invalid(f"methods is a list of {', '.join(METHODS)}")
    if config.get("corsConfig"):
        known = {"allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "allowCredentials", "maxAge"}
        _only(config["corsConfig"], known, "corsConfig")
        if not 0 <= (config["corsConfig"].get("maxAge") or 0) <= 86400:
            raise invalid("corsConfig.maxAge is 0 to 86400")
    return {**config, "authType": auth_type, "corsConfig": config.get("corsConfig") or None}


def _check_oss(config: dict[str, Any]) -> dict[str, Any]:
    _only(config, {"events", "filter"}, "an OSS triggerConfig")
    events = config.get("events")
    if not isinstance(events, list) or not events:
        raise invalid("events is a list of OSS events such as oss:ObjectCreated:PutObject")
    for event in events:
        if event not in OSS_EVENTS:
            raise invalid(f"{event!r} is not an OSS event")
    key = (config.get("filter") or {}).get("key") or {}
    _only(key, {"prefix", "suffix"}, "filter.key")
    if any(not isinstance(key.get(part, ""), str) for part in ("prefix", "suffix")):
        raise invalid("filter.key.prefix and filter.key.suffix are strings")
    return {"events": events, "filter": {"key": {"prefix": key.get("prefix", ""), "suffix": key.get("suffix", "")}}}


def _check_timer(config: dict[str, Any]) -> dict[str, Any]:
    _only(config, {"cronExpression", "enable", "payload"}, "a timer triggerConfig")
    expression = str(config.get("cronExpression") or "")
    try:
        cron.parse(expression)
    except ValueError as error:
        raise invalid(f"cronExpression: {error}") from error
    if not isinstance(config.get("payload", ""), str):
        raise invalid("payload is a string")
    enabled, payload = bool(config.get("enable", False)), config.get("payload", "")
    return {"cronExpression": expression, "enable": enabled, "payload": payload}


def check_bucket_arn(arn: str, region: str, account_id: str) -> str:
    """The bucket of an OSS trigger's `sourceArn`, which must be of this region and account."""
    match = re.fullmatch(
        rf"acs:oss:{re.escape(region)}:{re.escape(account_id)}:([a-z0-9][a-z0-9-]{{1,61}}[a-z0-9])", arn
    )
    if match is None:
        raise invalid(f"sourceArn of an OSS trigger is acs:oss:{region}:{account_id}:<bucket>, not {arn!r}")
    return match.group(1)


def check_overlap(new: Mapping[str, Any], others: Iterable[Trigger]) -> None:
    """Refuse a rule whose events and whose keys both meet those of another rule of the same bucket, as OSS does."""
    rules = list(others)
    if len(rules) >= OSS_RULES_PER_BUCKET:
        raise FcError(400, "LimitExceeded", f"a bucket has at most {OSS_RULES_PER_BUCKET} native trigger rules")
    for other in rules:
        if _events_meet(new["events"], other.config["events"]) and _keys_meet(
            new["filter"]["key"], other.config["filter"]["key"]
        ):
            raise invalid(
                f"the events, prefix and suffix overlap those of the trigger '{other.name}': "
                "OSS allows one rule for an event of a key"
            )


def _events_meet(these: Iterable[str], those: Iterable[str]) -> bool:
    return any(_event_matches(a, b) or _event_matches(b, a) for a in these for b in those)


def _event_matches(rule: str, event: str) -> bool:
    return rule == event or (rule.endswith(":*") and event.startswith(rule[:-1]))


def _keys_meet(one: Mapping[str, str], two: Mapping[str, str]) -> bool:
    prefixes = one["prefix"].startswith(two["prefix"]) or two["prefix"].startswith(one["prefix"])
    suffixes = one["suffix"].endswith(two["suffix"]) or two["suffix"].endswith(one["suffix"])
    return prefixes and suffixes


def takes(trigger: Trigger, event: Mapping[str, Any]) -> bool:
    """Whether an OSS trigger takes a native OSS event (whose `eventName` has no `oss:` in front)."""
    if trigger.kind != "oss":
        return False
    bucket = trigger.source_arn.rsplit(":", 1)[-1]
    key: str = event["oss"]["object"]["key"]
    wanted = trigger.config["filter"]["key"]
    return (
        event["oss"]["bucket"]["name"] == bucket
        and any(_event_matches(rule, "oss:" + event["eventName"]) for rule in trigger.config["events"])
        and key.startswith(wanted["prefix"])
        and key.endswith(wanted["suffix"])
    )
