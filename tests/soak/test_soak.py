"""A twentieth of `scripts/soak prompts`, on every change."""

from __future__ import annotations

import pytest

from soak.prompts import soak


@pytest.mark.parametrize("seed", [1, 2])
async def test_250_syntheses_at_random_let_nothing_wrong_be_heard(seed: int) -> None:
    report = await soak(seed, 250)
    assert report.wrong == [], report
    assert report.syntheses >= 250
    assert min(report.faults, report.deaths, report.defects, report.damaged, report.repaired) > 0, report
