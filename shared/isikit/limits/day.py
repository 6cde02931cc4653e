"""The billing day: Alibaba Cloud counts and bills by the day of China Standard Time, UTC+8 without summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

ZONE: Final = timezone(timedelta(hours=8))
_DAY_SECONDS: Final = 86_400
_SHIFT_SECONDS: Final = 8 * 3600


def day_of(epoch: float) -> str:
    """The billing day of a moment, `2026-11-23`."""
    return datetime.fromtimestamp(epoch, UTC).astimezone(ZONE).date().isoformat()


def seconds_left(epoch: float) -> float:
    """How long the billing day of a moment still lasts; more than 0, at most a day."""
    return _DAY_SECONDS - (epoch + _SHIFT_SECONDS) % _DAY_SECONDS
