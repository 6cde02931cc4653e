"""Numbers as clients write them."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"[0-9]{1,18}")


def whole(text: str) -> int | None:
    """A whole number of up to 18 ASCII digits, or None. Python's `int` takes other digits and raises on thousands."""
    return int(text) if _WHOLE.fullmatch(text) else None
