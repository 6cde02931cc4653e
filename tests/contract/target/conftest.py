"""One target for the whole suite, a key prefix per test, one speech token."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import oss2
import pytest

from ops import probe_clients
from ops.probe_target import Target
from support import target as support_target


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with support_target.opened(tmp_path_factory.mktemp("target") / "out") as opened:
        yield opened


@pytest.fixture(scope="session")
def bucket(target: Target) -> Any:
    return probe_clients.bucket(target)


@pytest.fixture
def prefix(bucket: Any) -> Iterator[str]:
    """Keys of this test alone; what lies under it is deleted afterwards."""
    mine = f"isi-contract/{uuid.uuid4().hex}/"
    yield mine
    for found in list(oss2.ObjectIteratorV2(bucket, prefix=mine)):
        bucket.delete_object(found.key)


@pytest.fixture(scope="session")
def token(target: Target) -> tuple[str, int]:
    return probe_clients.create_token(target)
