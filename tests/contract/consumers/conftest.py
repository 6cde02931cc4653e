"""Two instances of the prompts function behind servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.served_prompts import Served, served


@pytest.fixture(scope="session")
def servers() -> Iterator[Served]:
    """Two servers: stopping one takes longer than most tests."""
    with served(2) as one:
        yield one


@pytest.fixture
def two(servers: Served) -> Served:
    """Two new instances on the same new buckets."""
    servers.begin()
    return servers
