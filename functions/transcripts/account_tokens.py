"""Whose speech token a recording is recognised with: that of the account its tenant's AppKeys are of."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from isikit.host import context

if TYPE_CHECKING:
    from isikit.host.context import Deadline
    from isikit.nls.attempts import Tokens
    from isikit.nls.token import SpeechToken, TokenSources
    from isikit.tenants import Tenants

KEPT: Final = 64


class AccountTokens:
    """Tokens for the tenant of the current request: with its `role_arn`, those of another account.

    Parameters
    ----------
    sources
        One for each account.
    tenants
        Where a tenant's role is looked up.
    """

    def __init__(self, sources: TokenSources, tenants: Tenants) -> None:
        self._sources = sources
        self._tenants = tenants
        self._given: OrderedDict[str, Tokens] = OrderedDict()

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        """A token that lives at least so long.

        Raises
        ------
        TokenError, ConfigError, DeadlineExceeded
            None could be had.
        """
        request = context.current_or_none()
        tenant = None
        if request is not None and request.tenant_id is not None:
            tenant = (await self._tenants.current()).find(request.tenant_id)
        source = self._sources.of() if tenant is None else self._sources.for_tenant(tenant)
        token = await source.get(min_life_seconds, deadline)
        self._given[token.id] = source
        self._given.move_to_end(token.id)
        while len(self._given) > KEPT:
            self._given.popitem(last=False)
        return token

    def invalidate(self, token_id: str) -> None:
        """Forget a token that was refused, where it came from."""
        source = self._given.pop(token_id, None)
        if source is not None:
            source.invalidate(token_id)
