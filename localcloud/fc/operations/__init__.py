"""The operations of the API that localcloud has, each in the shape of the SDK's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.fc.operations.capacity import Capacity
from localcloud.fc.operations.family import Operation
from localcloud.fc.operations.functions import Functions
from localcloud.fc.operations.layers import Layers
from localcloud.fc.operations.triggers import Triggers
from localcloud.fc.operations.versions import Versions

if TYPE_CHECKING:
    from localcloud.fc.fleet import Platform
    from localcloud.fc.service import FunctionCompute

__all__ = ["Operation", "operations"]


def operations(service: FunctionCompute, platform: Platform) -> dict[str, Operation]:
    """Operation name -> what answers it. What is not in here is 501."""
    table: dict[str, Operation] = {}
    for family in (Functions, Versions, Triggers, Capacity, Layers):
        table |= family(service, platform).table()
    return table
