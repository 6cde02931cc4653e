"""What a check of the probe is, and what it can find."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ops import probe_clients
from ops.probe_target import Target

AS_BELIEVED, OTHERWISE, NOT_SEEN = "as believed", "OTHERWISE", "not seen"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen, in a line, and the verdict on the belief."""

    text: str
    verdict: str

    @classmethod
    def judged(cls, text: str, is_so: bool) -> Seen:
        """`as believed` or `OTHERWISE`."""
        return cls(text, AS_BELIEVED if is_so else OTHERWISE)


@dataclass(slots=True)
class Probe:
    """One run: the target, keys of its own, what must be undone at the end, and what checks share."""

    target: Target
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    undo: list[Callable[[], object]] = field(default_factory=list)
    _kept: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave the first time."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def token(self) -> tuple[str, int]:
        """One speech token for the whole run."""
        found: tuple[str, int] = self.once("token", lambda: probe_clients.create_token(self.target))
        return found

    def bucket(self) -> Any:
        """The scratch bucket."""
        return self.once("bucket", lambda: probe_clients.bucket(self.target))

    def key(self, name: str) -> str:
        """A key in the scratch bucket, deleted at the end of the run."""
        key = f"isi-probe/{self.run_id}/{name}"
        self.undo.append(lambda: self.bucket().delete_object(key))
        return key


@dataclass(frozen=True, slots=True)
class Check:
    """One row of `docs/unverified.md`: its first column, what the check costs, and the check."""

    believed: str
    cost: str
    run: Callable[[Probe], Seen]
