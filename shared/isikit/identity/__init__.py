"""Who is calling, through which door, as which tenant: the same for every endpoint of every function."""

from __future__ import annotations

from isikit.identity.caller import Caller, Door
from isikit.identity.doors import Doors
from isikit.identity.key_sets import KeySets

__all__ = ["Caller", "Door", "Doors", "KeySets"]
