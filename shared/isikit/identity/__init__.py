"""Who is calling, through which door, as which tenant: the same for every endpoint of every function.

door            what is believed                        what proves it
api_key         X-Api-Key: id.secret                    the secret's SHA-256 in the tenants file
jwt             Authorization or X-Authorization        issuer + audience of the tenants file, a key of that issuer
gateway         X-Mse-Consumer: name                    X-Route-Secret, which the cloud-native gateway's route adds
legacy_gateway  CaAppId, in an event only               X-App-Secret, the traditional gateway's constant parameter

Exactly one of them, once; nothing else is believed, and none of it by another way. An event is what the platform says
is one (`isikit.host`). `Authorization` beside a proved consumer is the gateway's business and is not looked at.
"""

from __future__ import annotations

from isikit.identity.caller import Caller, Door
from isikit.identity.doors import Doors
from isikit.identity.key_sets import KeySets

__all__ = ["Caller", "Door", "Doors", "KeySets"]
