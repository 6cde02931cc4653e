"""Moments are written in one way."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from isikit.stamps import rfc3339


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000.999, "2023-11-14T22:13:20Z"),
        (4_102_444_800, "2100-01-01T00:00:00Z"),
    ],
)
def test_a_moment_is_utc_and_whole_seconds(epoch: float, text: str) -> None:
    assert rfc3339(epoch) == text


def test_the_machines_time_zone_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert rfc3339(0) == "1970-01-01T00:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_it_reads_back_as_the_same_moment() -> None:
    assert datetime.fromisoformat(rfc3339(1_700_000_000)).timestamp() == 1_700_000_000
