"""Moments as they stand in answers and files: RFC 3339 in UTC, whole seconds."""

from __future__ import annotations

import time


def rfc3339(epoch: float) -> str:
    """`2026-03-01T08:30:00Z` for seconds since the epoch; fractions are cut off, so that it is never in the future."""
    year, month, day, hour, minute, second, *_ = time.gmtime(int(epoch))
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}Z"
