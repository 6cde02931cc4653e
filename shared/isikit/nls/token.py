"""Speech tokens: fetched with STS credentials over https, kept until near their end, never waited for needlessly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.host.context import Deadline


@dataclass(frozen=True, slots=True)
class SpeechToken:
    """A token of the speech service. It carries all speech rights of the account until `expires_at`.

    Attributes
    ----------
    id
        The token itself; not in the repr.
    expires_at
        Epoch seconds, as the service's `ExpireTime` said.
    """

    id: str = field(repr=False)
    expires_at: float


class TokenSource:
    """The process's token: one fetch at a time, renewed in the last fifth of its life inside a request."""

    def __init__(self, settings: Settings, credentials: object) -> None:
        raise NotImplementedError

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        """Return a token that lives at least `min_life_seconds` more; `TokenError` or `DeadlineExceeded` if none."""
        raise NotImplementedError

    def invalidate(self, token_id: str) -> None:
        """Forget the token of that id: the service refused it."""
        raise NotImplementedError
