"""Who was given what, and who was refused: one line for every request for a lease or an upload."""

from __future__ import annotations

from typing import Any, Literal

from isikit import logs
from isikit.errors import IsiError, Refused
from isikit.identity import Caller

What = Literal["lease", "upload"]


class Audit:
    """The line of one request: `lease.granted` or `lease.refused`, and so of `upload`.

    An AppKey names a project and is no secret, but with a token it is all that is needed to speak: only its last four
    characters are logged. Keys, tokens and signatures never are.

    Parameters
    ----------
    what
        What was asked for.
    """

    def __init__(self, what: What) -> None:
        self._what = what
        self._caller: dict[str, Any] = {}

    def identified(self, caller: Caller) -> None:
        """Put door and subject into the line that will follow; the tenant stands in every line of the request."""
        self._caller = {"door": caller.door, "subject": logs.named(caller.subject) if caller.subject else None}

    def granted(self, **fields: Any) -> None:
        """It was given out."""
        logs.event(f"{self._what}.granted", **self._caller, **fields)

    def refused(self, error: IsiError) -> None:
        """It was not, and why: nobody who is known, not allowed, a mistake, a limit, or something that is down."""
        door = {"door": error.door} if isinstance(error, Refused) else {}
        logs.event(f"{self._what}.refused", level="warning", reason=error.code, **self._caller, **door)
