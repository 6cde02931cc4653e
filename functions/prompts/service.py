"""Everything the prompts function works with, in one place; made once per instance."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from functions.prompts.cache import Cache
from functions.prompts.fallbacks import Voices
from functions.prompts.hot import Hot
from functions.prompts.later import Later
from functions.prompts.maker import Maker
from functions.prompts.prompt import Place
from functions.prompts.recipe import Recipes
from functions.prompts.rendition import Rendition
from functions.prompts.revisions import Revisions
from functions.prompts.synthesis import Synthesis
from functions.prompts.warm import Warm
from isikit import config, credentials, limits, objects
from isikit.config import Settings
from isikit.errors import ConfigError, FieldError
from isikit.identity import Doors, KeySets
from isikit.limits import Limits
from isikit.nls import synthesis as nls
from isikit.nls import token
from isikit.objects import Stores
from isikit.secrets import KeyRing
from isikit.self_invocation import SelfInvocation
from isikit.tenants import Tenants
from isikit.threads import BoundedThreads

URL_LENGTHS = (64, 255)
"""Asterisk fails on a URL shorter than its cache file's path, FreeSWITCH on long ones."""
_PATH_LENGTHS = (73, 113)  # from `/p/xx/k1{52}/mp3-8000.mp3` to `/e/{32}/once/{52}/pcm_s16le-16000.wav`
DERIVING_THREADS = 2


@dataclass(slots=True)
class Prompts:
    """What one instance works with."""

    base_url: str
    doors: Doors
    tenants: Tenants
    keys: KeyRing
    cache: Cache
    recipes: Recipes
    revisions: Revisions
    maker: Maker
    later: Later
    voices: Voices
    hot: Hot
    clock: Callable[[], float]
    limits: Limits

    def url(self, place: Place, rendition: Rendition) -> str:
        """Where a rendition is to be had."""
        return f"{self.base_url}/{place.rendition_key(rendition)}"


def assemble(
    *,
    base_url: str,
    stores: Stores,
    tenants: Tenants,
    keys: KeyRing,
    synthesis: Synthesis,
    later: Later,
    limits: Limits,
    owner: str,
    key_sets: KeySets | None = None,
    clock: Callable[[], float] = time.time,
) -> Prompts:
    """Put an instance together.

    Raises
    ------
    ConfigError
        URLs would become shorter or longer than players take.
    """
    shortest, longest = (len(base_url) + length for length in _PATH_LENGTHS)
    if shortest < URL_LENGTHS[0] or longest > URL_LENGTHS[1]:
        raise ConfigError(errors=[FieldError("ISI_PUBLIC_BASE_URL", "length", {"max": 255 - _PATH_LENGTHS[1]})])
    cache, voices = Cache(stores.prompts, Warm(), keys, clock), Voices(clock)
    recipes, revisions = Recipes(stores.state, keys), Revisions(stores.state)
    threads = BoundedThreads("derive", DERIVING_THREADS)
    maker = Maker(cache, stores.state, recipes, revisions, synthesis, owner=owner, threads=threads)
    return Prompts(
        base_url=base_url,
        doors=Doors(tenants, keys, key_sets),
        tenants=tenants,
        keys=keys,
        cache=cache,
        recipes=recipes,
        revisions=revisions,
        maker=maker,
        later=later,
        voices=voices,
        hot=Hot(keys, cache, voices),
        clock=tenants.now,  # URLs are sealed by one instance and opened by another
        limits=limits,
    )


def from_settings(settings: Settings) -> Prompts:
    """The instance that the deployment describes."""
    stores = objects.stores()
    keys = KeyRing(stores.state, settings.keys_key)
    speaker, tokens = nls.speaker(settings), token.sources(settings, credentials.provider, stores.state, keys)
    counted = limits.from_settings(settings, stores.state)
    return assemble(
        base_url=settings.public_base_url,
        stores=stores,
        tenants=Tenants(stores.state, settings.tenants_key),
        keys=keys,
        key_sets=KeySets.of(settings),
        synthesis=Synthesis(speaker, tokens, settings.nls_concurrency, counted),
        later=Later(SelfInvocation.from_settings(settings, credentials.provider)),
        owner=f"{os.environ.get('FC_INSTANCE_ID', 'local')[:48]}-{secrets.token_hex(4)}",
        limits=counted,
    )


class _Instance:
    """Made when the first request comes: start-up waits for nothing, and a wrong setting is an answer, not a crash."""

    def __init__(self) -> None:
        self._prompts: Prompts | None = None

    @property
    def is_made(self) -> bool:
        """Whether there is one already."""
        return self._prompts is not None

    def __call__(self) -> Prompts:
        if self._prompts is None:
            self._prompts = from_settings(config.settings())
        return self._prompts


instance = _Instance()
"""This process's own."""
