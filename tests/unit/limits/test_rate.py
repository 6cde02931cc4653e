"""How a rate is written, and the billing day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from isikit.limits import Rate, parse_rate
from isikit.limits.day import day_of, seconds_left


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("1/second", Rate(1, 1)),
        ("100/minute", Rate(100, 60)),
        ("5000/hour", Rate(5000, 3600)),
        ("9999999/day", Rate(9_999_999, 86_400)),
    ],
)
def test_a_rate_is_a_number_per_second_minute_hour_or_day(written: str, rate: Rate) -> None:
    assert parse_rate(written) == rate


@pytest.mark.parametrize(
    "written", ["", "10", "0/second", "10/seconds", "10 / second", "10/week", "-1/day", "99999999/day", "1/second\n"]
)
def test_anything_else_is_refused_with_what_would_be_right(written: str) -> None:
    with pytest.raises(ValueError, match="100/minute"):
        parse_rate(written)


@pytest.mark.parametrize(
    ("moment", "day", "left"),
    [
        (datetime(2026, 11, 22, 15, 59, 59, tzinfo=UTC), "2026-11-22", 1),
        (datetime(2026, 11, 22, 16, 0, 0, tzinfo=UTC), "2026-11-23", 86_400),
        (datetime(2026, 12, 31, 20, 0, 0, tzinfo=UTC), "2027-01-01", 72_000),
    ],
)
def test_the_billing_day_begins_at_midnight_in_china(moment: datetime, day: str, left: int) -> None:
    assert day_of(moment.timestamp()) == day
    assert seconds_left(moment.timestamp()) == left
