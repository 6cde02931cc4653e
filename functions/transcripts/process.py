"""What one process works with: everything that is shared by its requests, in one place, passed down."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.transcripts.patience import patiently
from functions.transcripts.recognise import Recognise
from isikit.audio.probe import Decoded, Limits, decode
from isikit.objects import ObjectStore

if TYPE_CHECKING:
    from isikit.identity import Doors
    from isikit.tenants import Tenants

CLAIM_SECONDS: Final = 20.0
"""How long a claim outlives its process. A delivery that finds a job claimed watches it for this long at most."""
RENEW_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcripts:
    """The collaborators.

    Attributes
    ----------
    recordings, state
        The buckets, with their names.
    doors, tenants
        Who is calling, and who there is.
    recognise
        Recognises one piece, with its own retries.
    decode
        Decodes untrusted bytes in a child process: (data, rate wanted, limits).
    speaking
        Calls to the speech service at once.
    decoding
        Recordings in memory at once: an instance has 1 GiB and takes two events.
    clock
        Wall time for stamps.
    pause
        Sleeps: between two looks at a job that somebody else is on, and between two renewals of a claim.
    """

    recordings: ObjectStore
    state: ObjectStore
    recordings_bucket: str
    state_bucket: str
    doors: Doors
    tenants: Tenants
    recognise: Recognise
    decode: Callable[[bytes, int | None, Limits], Awaitable[Decoded]]
    speaking: asyncio.Semaphore
    decoding: asyncio.Semaphore
    clock: Callable[[], float] = time.time
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@functools.cache
def transcripts() -> Transcripts:
    """The process's own, made from the settings when first needed."""
    from isikit import config, credentials, objects
    from isikit.identity import Doors
    from isikit.nls import token
    from isikit.nls.recognition import Recogniser
    from isikit.secrets import KeyRing
    from isikit.tenants import Tenants

    settings = config.settings()
    stores = objects.stores()
    tenants, keys = Tenants(stores.state, settings.tenants_key), KeyRing(stores.state, settings.keys_key)
    tokens = token.source(settings, credentials.provider, stores.state, keys)
    return Transcripts(
        recordings=stores.recordings,
        state=stores.state,
        recordings_bucket=settings.bucket_recordings,
        state_bucket=settings.bucket_state,
        doors=Doors(tenants, keys),
        tenants=tenants,
        recognise=patiently(Recogniser(settings).recognise, tokens),
        decode=_decode_in_child,
        speaking=asyncio.Semaphore(settings.nls_concurrency),
        decoding=asyncio.Semaphore(1),
    )


async def _decode_in_child(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
    return await decode(data, rate_hz=rate_hz, limits=limits)
