"""A twentieth of `scripts/soak transcripts`, on every change."""

from __future__ import annotations

import pytest

from soak.transcripts import Soak


@pytest.mark.parametrize("seed", range(1, 5))
async def test_50_recordings_at_random_come_to_one_outcome_each(seed: int) -> None:
    run = Soak(seed, lost_one_in=25)
    report = await run.run(50)
    assert report.wrong == [], report
    assert report.jobs >= 45
    assert report.generations >= report.jobs
    assert report.done >= 35
    assert min(report.faults, report.deaths, report.lost_events, report.submissions) > 0, report
