"""Limits of tenants: rates (requests in a time) and daily quotas (leases, uploads, billed calls, seconds of audio).

Rates are counted in memory, each instance for itself, or in Redis over all instances. Quotas hold over all instances:
they are claimed in chunks from a journal in OSS.

Quotas are the hard limits. What tenants spend with leased tokens is not counted by them: nobody can count it.
"""

from __future__ import annotations

from isikit.limits.admission import Limits, from_settings, warm_up
from isikit.limits.rate import Rate, parse_rate
from isikit.limits.refusal import LimitsUnavailable

__all__ = ["Limits", "LimitsUnavailable", "Rate", "from_settings", "parse_rate", "warm_up"]
