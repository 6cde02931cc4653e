"""One deployed localcloud with the tone engine for all end-to-end tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import lease_tenants
from support.local_cloud import Local, running
from support.login import Login, issuing
from support.thawing import Thawing, thawing


@pytest.fixture(scope="session")
def login() -> Iterator[Login]:
    """An issuer of tokens that the functions of `local` can ask for its keys."""
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, login: Login) -> Iterator[Local]:
    with running(tmp_path_factory.mktemp("local") / "out") as cloud:
        lease_tenants.add(cloud, login)  # before the first request: the functions look again after half a minute
        yield cloud


@pytest.fixture(scope="session")
def thawing_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thawing]:
    """Another one, for tests that move the clock of its functions and cut what they are connected to."""
    with thawing(tmp_path_factory.mktemp("thawing")) as cloud:
        yield cloud
