"""Moments as they stand in answers and files: RFC 3339 in UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(epoch: float) -> str:
    """`2026-03-01T08:30:00Z` for seconds since the epoch; fractions are cut off, so that it is never in the future."""
    return datetime.fromtimestamp(int(epoch), UTC).replace(tzinfo=None).isoformat() + "Z"
