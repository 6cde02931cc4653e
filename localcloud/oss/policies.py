"""The policy of a form upload: what its signer allows.

Rules: help.aliyun.com/en/oss/developer-reference/postobject, "Appendix: Policy"; the types of conditions:
.../support/0006-00000224; messages: .../how-to-handle-common-errors-when-the-postobject-operation-is-called.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.oss.errors import OssError

_TEXT = ("eq", "starts-with")
_LISTS = ("in", "not-in")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: an operator, a form field's lower-case name without `$`, and what it is compared with."""

    operator: str
    field: str
    value: Any
    source: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Whether the fields of a form (lower-case names) satisfy it."""
        given = fields.get(self.field, "")
        if self.operator == "eq":
            return bool(given == self.value)
        if self.operator == "starts-with":
            return given.startswith(self.value)
        return bool(given in self.value) == (self.operator == "in")


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy; `expires_at` in epoch seconds, sizes in bytes."""

    expires_at: float
    conditions: tuple[Condition, ...]
    least_bytes: int
    most_bytes: int | None

    @classmethod
    def of(cls, text: str) -> Policy:
        """Parse the base64 of a form's `policy` field; `InvalidPolicyDocument`."""
        try:
            document = json.loads(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError, RecursionError) as exc:
            raise _invalid("Invalid JSON.") from exc
        if not isinstance(document, dict):
            raise _invalid("Invalid JSON: an object is expected.")
        try:
            moment = datetime.fromisoformat(str(document.get("expiration", "")).replace("Z", "+00:00"))
        except ValueError as exc:
            raise _invalid("Invalid expiration.") from exc
        if moment.tzinfo is None:
            raise _invalid("Invalid expiration.")
        entries = document.get("conditions")
        if not isinstance(entries, list) or not entries:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        conditions, least, most = [], 0, None
        for entry in entries:
            if isinstance(entry, list) and entry and entry[0] == "content-length-range":
                low, high = _range(entry)
                least, most = max(least, low), high if most is None else min(most, high)
            else:
                conditions.append(_condition(entry))
        return cls(moment.timestamp(), tuple(conditions), least, most)

    def check(self, fields: Mapping[str, str], now: float) -> None:
        """Refuse a form by its fields (lower-case names, `bucket` among them); `AccessDenied`."""
        if now > self.expires_at:
            raise OssError("AccessDenied", "Invalid according to Policy: Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                raise OssError(
                    "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {condition.source}"
                )

    def check_size(self, size: int, *, complete: bool) -> None:
        """Refuse a file by its size, as soon as it is too large; `EntityTooLarge`, `EntityTooSmall`."""
        if self.most_bytes is not None and size > self.most_bytes:
            raise OssError("EntityTooLarge", fields={"MaxSizeAllowed": str(self.most_bytes)})
        if complete and size < self.least_bytes:
            fields = {"MinSizeAllowed": str(self.least_bytes), "ProposedSize": str(size)}
            raise OssError("EntityTooSmall", fields=fields)


def _range(entry: list[Any]) -> tuple[int, int]:
    if len(entry) != 3:
        raise _invalid("content-length-range takes two integers.")
    low, high = entry[1:]
    for number in (low, high):
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise _invalid("content-length-range takes two integers.")
    if low > high:
        raise _invalid("content-length-range begins after its end.")
    return low, high


def _condition(entry: object) -> Condition:
    source = json.dumps(entry, ensure_ascii=False, separators=(", ", ":"))
    if isinstance(entry, dict):
        if len(entry) != 1:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        ((name, value),) = entry.items()
        if not isinstance(value, str):
            raise _invalid(f"Invalid Simple-Condition: {source}")
        return Condition("eq", str(name).lower(), value, source)
    if not isinstance(entry, list) or len(entry) != 3:
        raise _invalid(f"Invalid Condition: {source}")
    operator, field, value = entry
    well_typed = (operator in _TEXT and isinstance(value, str)) or (
        operator in _LISTS and isinstance(value, list) and all(isinstance(one, str) for one in value)
    )
    if not well_typed or not isinstance(field, str) or not field.startswith("$"):
        raise _invalid(f"Invalid Condition: {source}")
    return Condition(operator, field[1:].lower(), value, source)


def _invalid(text: str) -> OssError:
    return OssError("InvalidPolicyDocument", f"Invalid Policy: {text}")
