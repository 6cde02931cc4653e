"""What one instance of the leases function works with."""

from __future__ import annotations

from dataclasses import dataclass

from functions.leases.lease import Endpoints, Leases
from functions.leases.uploads import Uploads
from isikit import credentials, limits, objects
from isikit.config import Settings
from isikit.identity import Doors, KeySets
from isikit.limits import Limits
from isikit.nls import token
from isikit.objects.presign import Presigner
from isikit.secrets import KeyRing
from isikit.tenants import Tenants


@dataclass(frozen=True, slots=True)
class Service:
    """The collaborators of the routes."""

    doors: Doors
    tenants: Tenants
    limits: Limits
    leases: Leases
    uploads: Uploads


def from_settings(settings: Settings) -> Service:
    """What the deployment describes."""
    state = objects.stores().state
    tenants, keys = Tenants(state, settings.tenants_key), KeyRing(state, settings.keys_key)
    counted = limits.from_settings(settings, state)
    return Service(
        Doors(tenants, keys, KeySets.of(settings)),
        tenants,
        counted,
        Leases(
            token.sources(settings, credentials.provider, state, keys),
            counted,
            Endpoints(settings.nls_public_websocket, settings.nls_public_rest),
            settings.region,
        ),
        Uploads(
            Presigner(
                settings.bucket_recordings,
                settings.oss_public,
                settings.region,
                credentials.provider,
                clock=tenants.now,
            ),
            counted,
            tenants.now,
        ),
    )
