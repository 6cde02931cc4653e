"""What a tenant may do how often, and how much of it in a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from isikit import config
from isikit.errors.tree import ConfigError
from isikit.host import context
from isikit.limits.quotas import Quotas, WhenDown
from isikit.limits.rate import Rate, parse_rate
from isikit.limits.rates import MemoryRates, Rates
from isikit.limits.refusal import rate_refused
from isikit.limits.shared_rates import SharedRates

if TYPE_CHECKING:
    from isikit.config import Settings
    from isikit.objects import ObjectStore
    from isikit.tenants import Tenant
    from isikit.tenants.schema import QuotaName, RateName

DEFAULT_RATES: Final[Mapping[RateName, Rate]] = {
    "leases": Rate(20, 1),
    "uploads": Rate(50, 1),
    "prompts": Rate(200, 1),
    "jobs": Rate(50, 1),
    "recognitions": Rate(10, 1),
}


class Limits:
    """The limits of all tenants, as one instance holds them.

    Parameters
    ----------
    store
        The state bucket, for the journals of the daily quotas.
    rates
        Where requests are counted: this instance's memory unless said.
    when_down
        Of the quotas, see `Quotas`.
    defaults
        The rates of tenants that name none.
    clock
        Wall time in seconds, for the quotas.
    """

    def __init__(
        self,
        store: ObjectStore,
        rates: Rates | None = None,
        *,
        when_down: WhenDown = "open",
        defaults: Mapping[RateName, Rate] = DEFAULT_RATES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rates = rates or MemoryRates()
        self._quotas = Quotas(store, when_down, clock=clock)
        self._defaults = defaults

    async def admit(self, tenant: Tenant, name: RateName) -> None:
        """Count one request against a rate, and tell the caller with the answer what is left of it.

        To be called once the caller is known and before the body is read.

        Raises
        ------
        LimitError
            429 `limit.rate`.
        LimitsUnavailable
            503: Redis does not answer, and the deployment would rather refuse.
        """
        written = tenant.rates.get(name)
        rate = self._defaults[name] if written is None else parse_rate(written)
        admitted, allowance = await self._rates.hit(tenant.id, name, rate)
        if not admitted:
            raise rate_refused(name, allowance)
        context.update(allowance=allowance)

    async def spend(self, tenant: Tenant, name: QuotaName, amount: int) -> None:
        """Take `amount` units from the tenant's quota of this billing day; a tenant without one has no limit.

        To be called before the money is spent. What is taken stays taken when the work fails later on.

        Raises
        ------
        LimitError
            429 `limit.quota`; nothing was taken. `Retry-After` leads to the next day.
        LimitsUnavailable
            503: OSS does not answer, and the deployment would rather refuse.
        """
        quota = tenant.quotas.get(name)
        if quota is not None and amount > 0:
            await self._quotas.spend(tenant.id, name, quota, amount)

    def give_back(self, tenant: Tenant, name: QuotaName, amount: int) -> None:
        """Undo a `spend` for work that was not even begun."""
        if name in tenant.quotas:
            self._quotas.give_back(tenant.id, name, amount)

    async def hand_in(self) -> None:
        """Give unspent parts of quotas back: to be called when the instance is told to end."""
        await self._quotas.hand_in()


def from_settings(settings: Settings, state_store: ObjectStore) -> Limits:
    """The limits that the deployment describes."""
    when_down: WhenDown = "closed" if settings.limits_when_down == "closed" else "open"
    defaults: dict[RateName, Rate] = {
        "leases": parse_rate(settings.rate_leases),
        "uploads": parse_rate(settings.rate_uploads),
        "prompts": parse_rate(settings.rate_prompts),
        "jobs": parse_rate(settings.rate_jobs),
        "recognitions": parse_rate(settings.rate_recognitions),
    }
    rates = SharedRates(settings.redis_url, when_down) if settings.redis_url else MemoryRates()
    return Limits(state_store, rates, when_down=when_down, defaults=defaults)


def warm_up() -> None:
    """Import what the first request would wait for: for a function's `initialize()`. Redis's client takes 100 ms."""
    from isikit.limits import windows  # noqa: F401

    try:
        redis_url = config.settings().redis_url
    except ConfigError:
        return  # the first request is told
    if redis_url:
        import redis.asyncio  # noqa: F401
