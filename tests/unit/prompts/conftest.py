"""What the tests of prompts share."""

from __future__ import annotations

import pytest

from support.prompting import Instance, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def instance(world: World) -> Instance:
    return world.instance()
