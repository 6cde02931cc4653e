"""A speech token, and where one comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from isikit.host.context import Deadline

RENEW_BELOW: Final = 0.2  # of its life left
MARGIN: Final = 1.25  # above a minimum life, so that nobody has to wait when it is reached
YOUNG_TENTH: Final = 0.9  # of its life left, however long a minimum is: a new one would hardly be better


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

    def is_young(self, now: float, got_at: float, min_life_seconds: float = 0.0) -> bool:
        """Whether it need not be renewed yet.

        It is before the last fifth of its life, which begins where it was issued or else at `got_at`, and lives a
        quarter longer than `min_life_seconds`; in the first tenth of its life it is young for every minimum.
        """
        life = self.expires_at - (got_at if self.issued_at is None else self.issued_at)
        return self.expires_at - now >= max(RENEW_BELOW * life, min(MARGIN * min_life_seconds, YOUNG_TENTH * life))


class TokenFetcher(Protocol):
    """Makes tokens: the token API."""

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """Make a token, in one attempt. Raises `TokenError` or `DeadlineExceeded`."""
        ...
