"""Tells a local cloud's gateway about its route and its consumer, as an operator does on the console."""

from __future__ import annotations

import requests

from ops.provision import CONSUMER, Secrets, Tenant

CONSUMER_HEADER = "X-Consumer-Key"
"""Where the local cloud's consumer sends its key: `Authorization` is left to the functions' own tokens."""
_SECONDS = 10


def open_route(admin: str, tenant: Tenant, secrets: Secrets) -> None:
    """Let the tenant's consumer in on `/v1/`, and have the route prove itself with its secrets.

    Who presents nothing to the gateway passes without a name: functions take API keys and tokens themselves.

    Parameters
    ----------
    admin
        Base of the local cloud's admin door.

    Raises
    ------
    requests.RequestException
        The door is shut, or it refuses the settings.
    """
    consumer = {
        "name": CONSUMER,
        "api_key": tenant.consumer_key,
        "source": {"in": "header", "name": CONSUMER_HEADER},
    }
    route = {
        "name": "functions",
        "prefix": "/v1/",
        "authentication": "optional",
        "methods": ["api_key"],
        "allow": [CONSUMER],
        "secrets": list(secrets.route),
    }
    for path, body in (("/gateway/consumers", consumer), ("/gateway/routes", route)):
        requests.post(admin + path, json=body, timeout=_SECONDS).raise_for_status()
