"""A speech token, and where one comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from isikit.host.context import Deadline

RENEW_BELOW: Final = 0.2  # of its life left


@dataclass(frozen=True, slots=True)
class SpeechToken:
    """A token of the speech service. It carries all speech rights of the account until `expires_at`.

    Attributes
    ----------
    id
        The token itself; not in the repr.
    expires_at
        Epoch seconds, as the service's `ExpireTime` said.
    issued_at
        Epoch seconds; None where that is not known.
    """

    id: str = field(repr=False)
    expires_at: float
    issued_at: float | None = None

    def is_young(self, now: float, got_at: float) -> bool:
        """Whether it is before the last fifth of its life, which begins where it was issued or else at `got_at`."""
        began_at = got_at if self.issued_at is None else self.issued_at
        return self.expires_at - now >= RENEW_BELOW * (self.expires_at - began_at)


class TokenFetcher(Protocol):
    """Makes tokens: the token API."""

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """Make a token, in one attempt. Raises `TokenError` or `DeadlineExceeded`."""
        ...
