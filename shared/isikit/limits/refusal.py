"""What is answered when a limit says no, or cannot be asked."""

from __future__ import annotations

import math

from isikit import logs
from isikit.errors.tree import Allowance, IsiError, LimitError

DAY_SECONDS = 86_400


class LimitsUnavailable(IsiError):
    """What limits are counted in cannot be reached, and the deployment would rather refuse than not count."""

    code = "limit.unavailable"
    status = 503
    title = "Limits cannot be checked"
    advice = "Try again shortly; nothing was spent."
    retryable = True
    retry_after = 5


def rate_refused(name: str, allowance: Allowance) -> LimitError:
    """The refusal of a rate, logged: one `limit.refused` for each request, as an audit wants it.

    Not thinned out: it comes only after a caller is known, and never makes more lines than the requests' own.
    """
    error = LimitError("Too many requests in too short a time.", retry_after=max(1, allowance.reset_seconds))
    error.allowance = allowance
    logs.event("limit.refused", level="warning", reason=error.code, limit=name)
    return error


def quota_refused(name: str, quota: int, remaining: int, amount: int, seconds_left: float) -> LimitError:
    """The refusal of a day's quota, logged likewise.

    Parameters
    ----------
    quota, remaining, amount
        Of the day; what is left of it; what was asked for.
    seconds_left
        Of the billing day.
    """
    wait = math.ceil(seconds_left)
    detail = (
        "This needs more than the tenant's whole quota of a day."
        if amount > quota
        else "The tenant's quota of this day is used up, or what is left of it is less than this needs."
    )
    error = LimitError(detail, code="limit.quota", retry_after=wait)
    error.allowance = Allowance(quota, DAY_SECONDS, remaining, wait)
    logs.event("limit.refused", level="warning", reason=error.code, limit=name, count=amount)
    return error
