"""Requests that were answered before: the same bytes of the same tenant mean the same prompt.

Reading a request, naming its prompt and writing the answer take longer than everything else of a warm hit. So an
instance remembers what the bytes of a request came to. It is believed only while the audio itself is warm, the keys
are the same, and the tenant is the very one of the tenants file in use; a retirement or a deletion cools the audio.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.prompts.cache import Cache
from functions.prompts.fallbacks import Voices
from isikit.secrets import KeyRing, Keys
from isikit.tenants import Tenant

LEAST_LIFE_SECONDS: Final = 60.0
"""Of a prompt of a day that is given out again: a URL that dies on its way to the player is of no use."""
MAX_HITS: Final = 4_096
MAX_REQUEST_BYTES: Final = 2_048
"""Together they bound the memory: 20 MB. A longer request is read anew each time."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a request comes to while its audio is warm.

    Attributes
    ----------
    tenant
        As the tenants file in use has it.
    voice
        Which was asked for, and spoke.
    key, etag, expires_at
        Of the rendition.
    body
        The answer in JSON; `url` is the one in plain text.
    line
        The fields of its log line, but for the time it took.
    """

    tenant: Tenant = field(repr=False)
    voice: str
    key: str
    etag: str
    expires_at: float | None
    url: str
    call_id: str | None
    body: bytes = field(repr=False)
    line: Mapping[str, Any]


class Hot:
    """Hits by the bytes of their requests, the least recently used given up first. In memory only: requests hold texts.

    Parameters
    ----------
    keys
        That name prompts.
    cache
        Knows which audio is warm.
    voices
        Knows which voices were refused lately: another one answers for them.
    """

    def __init__(self, keys: KeyRing, cache: Cache, voices: Voices) -> None:
        self._ring = keys
        self._cache = cache
        self._voices = voices
        self._keys: Keys | None = None
        self._hits: OrderedDict[tuple[str, bytes], Hit] = OrderedDict()

    async def find(self, tenant: Tenant, request: bytes) -> Hit | None:
        """What a request comes to, if that is known and still so. Makes no network call."""
        hit = self._hits.get((tenant.id, request))
        if hit is None:
            return None
        if self._keys is not await self._ring.current():
            self._hits.clear()
            return None
        known = self._cache.lately(hit.key)
        if known is None or hit.tenant is not tenant or self._voices.was_refused(tenant, hit.voice):
            del self._hits[tenant.id, request]
            return None
        stored, age_seconds = known
        if stored.etag != hit.etag or stored.expires_at != hit.expires_at:
            return None
        if stored.life_seconds - age_seconds < LEAST_LIFE_SECONDS:
            return None
        self._hits.move_to_end((tenant.id, request))
        return hit

    def keep(self, request: bytes, hit: Hit, keys: Keys) -> None:
        """Remember what a request came to under `keys`."""
        if len(request) > MAX_REQUEST_BYTES:
            return
        if keys is not self._keys:
            self._hits.clear()
            self._keys = keys
        self._hits[hit.tenant.id, request] = hit
        self._hits.move_to_end((hit.tenant.id, request))
        if len(self._hits) > MAX_HITS:
            self._hits.popitem(last=False)
