"""A house of one's own."""

from __future__ import annotations

import pytest

from support.house import House


@pytest.fixture
def house() -> House:
    """A fresh one."""
    return House()
