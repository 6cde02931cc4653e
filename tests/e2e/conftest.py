"""One deployed localcloud with the tone engine for all end-to-end tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.local_cloud import Local, running


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with running(tmp_path_factory.mktemp("local") / "out") as cloud:
        yield cloud
