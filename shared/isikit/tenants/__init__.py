"""The tenants: who there is, what each may do. One file in the state bucket, polled by ETag.

`schema` says what the file may hold, `parsing` names its mistakes, `polling` keeps the current version.
"""

from __future__ import annotations

from isikit.tenants.parsing import parse
from isikit.tenants.polling import Tenants
from isikit.tenants.schema import ApiKey, AppKey, Source, Tenant, TenantsFile, TokenIssuer, Webhook

__all__ = [
    "ApiKey",
    "AppKey",
    "Source",
    "Tenant",
    "Tenants",
    "TenantsFile",
    "TokenIssuer",
    "Webhook",
    "parse",
]
