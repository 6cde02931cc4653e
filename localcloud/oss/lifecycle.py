"""Lifecycle rules: read from their document, and carried out at a given time.

Rules: help.aliyun.com/en/oss/developer-reference/putbucketlifecycle. What would need other storage classes
(transitions) is refused.
"""

from __future__ import annotations

import re
import secrets
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from localcloud.oss.documents import Row
from localcloud.oss.errors import OssError, not_implemented
from localcloud.oss.numbers import whole
from localcloud.oss.records import Attributes, Version

SETTING = "lifecycle"
MAX_RULES = 1000
DAY_SECONDS = 86_400
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\dT00:00:00(\.000)?Z")


@dataclass(frozen=True, slots=True)
class Due:
    """When something is due: `days` after its last change, or if that was before `created_before` (epoch seconds)."""

    days: int | None = None
    created_before: float | None = None

    def is_past(self, changed_at: float, now: float) -> bool:
        """Whether it is due. Days end at the next midnight UTC after so many times 24 hours."""
        if self.created_before is not None:
            return changed_at < self.created_before <= now
        assert self.days is not None
        end = changed_at + self.days * DAY_SECONDS
        return now >= -(-end // DAY_SECONDS) * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `noncurrent_days` counts from when a version ceased to be current."""

    name: str
    prefix: str
    enabled: bool
    tags: dict[str, str]
    expiration: Due | None = None
    lone_markers: bool = False
    noncurrent_days: int | None = None
    abort: Due | None = None

    def covers(self, key: str, attributes: Attributes | None) -> bool:
        """Whether an object (or with None an upload or a marker, which have no tags) falls under it."""
        if not key.startswith(self.prefix):
            return False
        return not self.tags or (attributes is not None and self.tags.items() <= attributes.tags.items())


def rules_of(root: ElementTree.Element) -> list[Rule]:
    """The rules of a `LifecycleConfiguration`; `MalformedXML`, `InvalidArgument`, or 501 for what is not served."""
    rules = [_rule(element) for element in root.findall("Rule")]
    if not 1 <= len(rules) <= MAX_RULES or len(rules) != len(root):
        raise OssError("MalformedXML")
    if len({rule.name for rule in rules}) != len(rules):
        raise OssError("InvalidArgument", "Rule IDs must be unique.")
    return rules


def _rule(element: ElementTree.Element) -> Rule:
    found: dict[str, ElementTree.Element] = {}
    tags: dict[str, str] = {}
    for child in element:
        if child.tag == "Tag":
            tags[_text(child, "Key")] = child.findtext("Value") or ""
        elif child.tag in ("Transition", "NoncurrentVersionTransition", "Filter", "AtimeBase"):
            raise not_implemented(f"{child.tag} of a lifecycle rule")
        elif child.tag in found or child.tag not in _PARTS:
            raise OssError("MalformedXML")
        else:
            found[child.tag] = child
    status = (found["Status"].text or "") if "Status" in found else ""
    if status not in ("Enabled", "Disabled") or "Prefix" not in found or not found.keys() & _ACTIONS:
        raise OssError("MalformedXML")
    expiration = found.get("Expiration")
    marker = expiration is not None and expiration.findtext("ExpiredObjectDeleteMarker") == "true"
    abort, noncurrent = found.get("AbortMultipartUpload"), found.get("NoncurrentVersionExpiration")
    if tags and abort is not None:
        raise OssError("InvalidArgument", "Tag is not supported with AbortMultipartUpload.")
    return Rule(
        name=(found["ID"].text or "" if "ID" in found else "") or secrets.token_hex(18),
        prefix=found["Prefix"].text or "",
        enabled=status == "Enabled",
        tags=tags,
        expiration=_due(expiration) if expiration is not None and not marker else None,
        lone_markers=marker,
        noncurrent_days=_days(_text(noncurrent, "NoncurrentDays")) if noncurrent is not None else None,
        abort=_due(abort) if abort is not None else None,
    )


_ACTIONS = frozenset(("Expiration", "NoncurrentVersionExpiration", "AbortMultipartUpload"))
_PARTS = _ACTIONS | {"ID", "Prefix", "Status"}


def _due(element: ElementTree.Element) -> Due:
    days, before = element.findtext("Days"), element.findtext("CreatedBeforeDate") or element.findtext("Date")
    if (days is None) == (before is None) or len(element) != 1:
        raise OssError("MalformedXML")
    if days is not None:
        return Due(days=_days(days))
    if not _MIDNIGHT.fullmatch(before or ""):
        raise OssError("InvalidArgument", "The date must be midnight UTC, such as 2002-10-11T00:00:00.000Z.")
    try:
        moment = datetime.strptime(str(before)[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as exc:
        raise OssError("MalformedXML") from exc
    return Due(created_before=moment.timestamp())


def _days(text: str) -> int:
    days = whole(text)
    if days is None or not 1 <= days <= 2**31 - 1:
        raise OssError("InvalidArgument", "Days must be a positive integer.")
    return days


def _text(element: ElementTree.Element, name: str) -> str:
    text = element.findtext(name)
    if not text:
        raise OssError("MalformedXML")
    return text


def rows_of(rules: list[Rule]) -> list[Row]:
    """The content of a `LifecycleConfiguration`."""
    return [("Rule", _rule_rows(rule)) for rule in rules]


def _rule_rows(rule: Rule) -> list[Row]:
    rows: list[Row] = [("ID", rule.name), ("Prefix", rule.prefix)]
    rows.append(("Status", "Enabled" if rule.enabled else "Disabled"))
    rows += [("Tag", [("Key", key), ("Value", value)]) for key, value in rule.tags.items()]
    if rule.lone_markers:
        rows.append(("Expiration", [("ExpiredObjectDeleteMarker", True)]))
    for name, due in (("Expiration", rule.expiration), ("AbortMultipartUpload", rule.abort)):
        if due is not None and due.days is not None:
            rows.append((name, [("Days", due.days)]))
        elif due is not None and due.created_before is not None:
            date = datetime.fromtimestamp(due.created_before, UTC).strftime("%Y-%m-%dT00:00:00.000Z")
            rows.append((name, [("CreatedBeforeDate", date)]))
    if rule.noncurrent_days is not None:
        rows.append(("NoncurrentVersionExpiration", [("NoncurrentDays", rule.noncurrent_days)]))
    return rows


Remove = Callable[[Version], None]


def judge(rules: list[Rule], versions: list[Version], now: float) -> list[tuple[Version, bool]]:
    """Which versions of one key are due, and whether for good (else by a delete marker on top).

    Parameters
    ----------
    versions
        All of one key's, the newest first.
    """
    due: list[tuple[Version, bool]] = []
    active = [rule for rule in rules if rule.enabled]
    for place, version in enumerate(versions):
        stored = version.stored
        mine = [rule for rule in active if rule.covers(stored.key, None if version.marker else stored.attributes)]
        if version.latest and version.marker:
            if len(versions) == 1 and any(rule.lone_markers for rule in mine):
                due.append((version, True))
        elif version.latest:
            if any(rule.expiration and rule.expiration.is_past(stored.modified_at, now) for rule in mine):
                due.append((version, False))
        else:
            since = versions[place - 1].stored.modified_at  # it ceased to be current when the next one was written
            days = [rule.noncurrent_days for rule in mine if rule.noncurrent_days is not None]
            if any(Due(days=number).is_past(since, now) for number in days):
                due.append((version, True))
    return due
