"""Reading the parameters of a task: strictly, so that nothing is accepted here that the service might not do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.nls.status import invalid, not_built

_DIGITS = re.compile(r"-?[0-9]{1,9}")  # Python's own int takes other digits too, and raises on thousands


def number(values: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    """A whole number within its limits, written as a number or as digits (queries)."""
    value = values.get(name, default)
    if isinstance(value, str):
        value = int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(f"Invalid {name} '{values.get(name)}'!")
    return value


def flag(values: Mapping[str, Any], name: str) -> bool:
    """A truth value, or its name (queries)."""
    value = values.get(name, False)
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise invalid(f"Invalid {name} '{value}'!")


def refuse_unknown(values: Mapping[str, Any], known: Iterable[str], unbuilt: Iterable[str] = ()) -> None:
    """Refuse what is not understood, and what is not built unless it is switched off."""
    known, unbuilt = frozenset(known), frozenset(unbuilt)
    for name, value in values.items():
        off = value in (None, False, "", "false", 0)
        if name not in known and not (name in unbuilt and off):
            raise not_built(f"parameter {name}")
