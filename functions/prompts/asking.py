"""`POST /v1/prompts`: from a caller's wish to the URL of audio that is there, or will be."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from functions.prompts import fallbacks, ids
from functions.prompts.consumers import Consumer
from functions.prompts.hot import LEAST_LIFE_SECONDS
from functions.prompts.kept import audio
from functions.prompts.maker import Job, Made
from functions.prompts.prompt import FREE, Cost, Place, Prompt
from functions.prompts.recipe import expires_at
from functions.prompts.request import Wish
from functions.prompts.revisions import Superseded
from functions.prompts.service import Prompts
from functions.prompts.stored import Stored
from isikit import logs
from isikit.errors import FieldError, IsiError, Overloaded, RequestError
from isikit.host import context
from isikit.host.context import Deadline
from isikit.nls import synthesis as nls
from isikit.secrets import Keys
from isikit.stamps import rfc3339
from isikit.tenants import Tenant

T = TypeVar("T")
Status = Literal["ready", "degraded", "pending"]
How = Literal["hit", "miss", "coalesced", "bypass"]

MAX_BYTES: Final = 30 * 1024 * 1024
"""Of any audio: Function Compute's answers end at 32 MB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is told. `stored` is missing while it is pending."""

    id: str
    url: str
    status: Status
    how: How
    wish: Wish
    stored: Stored | None
    cost: Cost
    expires_at: float | None

    def as_dict(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "id": self.id,
            "url": self.url,
            "status": self.status,
            "cache": self.how,
            "voice_used": (self.stored.voice if self.stored else "") or self.wish.prompt.voice,
            "audio": audio(self.wish.rendition, self.stored),
            "billed": {"characters": self.cost.characters, "calls": self.cost.calls},
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
        }

    def line(self) -> dict[str, Any]:
        """The fields of its log line, but for the time it took."""
        prompt, stored, whole = self.wish.prompt, self.stored, self.wish.prompt.cost()
        saved = self.status == "ready" and self.how in ("hit", "coalesced")
        return {
            "prompt_id": self.id,
            "rendition": self.wish.rendition.name,
            "retention": self.wish.retention,
            "consumer": self.wish.consumer.name if self.wish.consumer else None,
            "voice": prompt.voice,
            "cache": self.how,
            "state": self.status,
            "bytes": stored.size if stored else None,
            "audio_ms": stored.duration_ms if stored else None,
            "characters_billed": self.cost.characters,
            "calls_billed": self.cost.calls,
            "characters_saved": whole.characters if saved else 0,
            "calls_saved": whole.calls if saved else 0,
        }


async def ask(prompts: Prompts, tenant: Tenant, wish: Wish) -> Answer:
    """Find the audio, or have it made within `wait_ms`; or else find what may be played instead.

    Raises
    ------
    Overloaded
        The speech service's places were taken all the time; nothing was spent.
    IsiError
        Whatever making it came to.
    """
    try:
        return await answered(prompts, tenant, wish)
    except IsiError as error:
        degraded = await _degraded(prompts, tenant, wish) if fallbacks.is_of_service(error) else None
        if degraded is None:
            raise
        return degraded


async def answered(prompts: Prompts, tenant: Tenant, wish: Wish, *, is_claimed: bool = False) -> Answer:
    """What was asked for, in the voice that was asked for or in the first of its chain that is not refused.

    Parameters
    ----------
    is_claimed
        Whether other instances are kept from speaking it meanwhile; permanent prompts always are.

    Raises
    ------
    IsiError
        Whatever making it came to.
    """
    until = context.current().deadline.sooner(wish.wait_ms / 1000)
    for prompt in prompts.voices.chain(tenant, wish.prompt):
        try:
            return await _in_voice(prompts, tenant, _with(wish, prompt), until, is_claimed)
        except IsiError as error:
            if not fallbacks.is_of_voice(error):
                raise
            prompts.voices.refused(tenant, prompt)
            refusal = error
    raise refusal


@dataclass(frozen=True, slots=True)
class Sought:
    """What a wish means now, in its revision, and what there is of it. `found` may be served as it is."""

    wish: Wish
    id: str
    place: Place
    found: Stored | None
    replaces: bool


async def seek(prompts: Prompts, tenant: Tenant, wish: Wish) -> Sought:
    """Look for what is wished for; by memory, or by one HEAD where it is there.

    Raises
    ------
    StorageError
        OSS could not be asked.
    """
    keys = await prompts.keys.current()
    remembered = prompts.revisions.known(wish.prompt, keys, tenant.id)
    sought = await _look(prompts, tenant, _with(wish, remembered), keys)
    if sought.found is not None:
        return sought
    current = await prompts.revisions.current(remembered, keys, tenant.id)
    if current.revision == remembered.revision:
        return sought
    return await _look(prompts, tenant, _with(wish, current), keys)


def _with(wish: Wish, prompt: Prompt) -> Wish:
    return wish if prompt is wish.prompt else dataclasses.replace(wish, prompt=prompt)


async def _look(prompts: Prompts, tenant: Tenant, wish: Wish, keys: Keys) -> Sought:
    prompt_id = wish.prompt.id(keys, tenant.id)
    if wish.cache == "bypass":
        return Sought(wish, prompt_id, Place(tenant.id, wish.retention, ids.once()), None, replaces=False)
    place = Place(tenant.id, wish.retention, prompt_id)
    if wish.cache == "refresh":
        return Sought(wish, prompt_id, place, None, replaces=True)
    look = await prompts.cache.find(place.rendition_key(wish.rendition))
    replaces = look.stored is not None and look.stored.life_seconds < LEAST_LIFE_SECONDS
    return Sought(wish, prompt_id, place, None if replaces else look.intact, replaces)


async def _in_voice(prompts: Prompts, tenant: Tenant, wish: Wish, until: Deadline, is_claimed: bool) -> Answer:
    sought, made = await _sought_and_made(prompts, tenant, wish, until, is_claimed)
    place, wish = sought.place, sought.wish
    if made is not None:
        _check_limits(wish.consumer, made.stored.size, made.stored.duration_ms)
        ends_at = made.stored.expires_at
    else:
        ends_at = await _leave_for_later(prompts, place, wish, sought.replaces)
    return Answer(
        id=sought.id,
        url=prompts.url(place, wish.rendition),
        status="ready" if made is not None else "pending",
        how="bypass" if wish.cache == "bypass" else "miss" if made is None else made.how,
        wish=wish,
        stored=made.stored if made is not None else None,
        cost=made.cost if made is not None else FREE,
        expires_at=ends_at,
    )


async def _sought_and_made(
    prompts: Prompts, tenant: Tenant, wish: Wish, until: Deadline, is_claimed: bool
) -> tuple[Sought, Made | None]:
    """What is wished for, and its audio where it is there or the caller waits long enough.

    What is likely to be made is looked for under the revision that is known; whether that is retired is asked along
    with all that the maker asks first. What is promised only is promised for a revision that was asked about.
    """
    if wish.cache == "use" and wish.wait_ms:
        keys = await prompts.keys.current()
        known = prompts.revisions.known(wish.prompt, keys, tenant.id)
        sought = await _look(prompts, tenant, _with(wish, known), keys)
        if sought.found is not None:
            return sought, Made(sought.found, "hit")
        try:
            made = await _made(prompts, tenant, sought, until, is_claimed, is_unchecked=True)
        except Superseded:
            pass  # the revision that it means now may be there already
        else:
            return (sought, made) if made is not None else await _looked_again(prompts, tenant, wish)
    sought, made = await _looked_again(prompts, tenant, wish)
    return sought, made or await _made(prompts, tenant, sought, until, is_claimed)


async def _looked_again(prompts: Prompts, tenant: Tenant, wish: Wish) -> tuple[Sought, Made | None]:
    sought = await seek(prompts, tenant, wish)
    return sought, Made(sought.found, "hit") if sought.found is not None else None


async def _made(
    prompts: Prompts, tenant: Tenant, sought: Sought, until: Deadline, is_claimed: bool, *, is_unchecked: bool = False
) -> Made | None:
    """The audio, or None where the caller does not wait (long enough)."""
    wish = sought.wish
    prompt, rendition = wish.prompt, wish.rendition
    # Half of what the text should last is the least that counts as whole (`isikit.nls.synthesis.prove`).
    least_ms = nls.expected_ms(prompt.text, prompt.speech_rate, prompt.is_ssml) // 2
    _check_limits(wish.consumer, rendition.least_bytes(least_ms), least_ms)
    if wish.wait_ms == 0:
        return None
    job = Job(
        place=sought.place,
        prompt=prompt,
        rendition=rendition,
        tenant=tenant,
        deadline=context.current().deadline,
        is_claimed=is_claimed or wish.retention == "permanent",
        replaces=sought.replaces,
        is_unchecked=is_unchecked,
    )
    work = asyncio.ensure_future(prompts.maker.make(job))
    try:
        await asyncio.wait((work,), timeout=until.remaining())
        if work.done():
            return work.result()
        is_queued = prompts.maker.is_queued(sought.place)
    finally:
        await ended(work)
    if is_queued:
        raise Overloaded("All places for synthesis were taken.")
    return None


async def _degraded(prompts: Prompts, tenant: Tenant, wish: Wish) -> Answer | None:
    """The tenant's neutral prompt by its own URL, if it was ever made; None where there is none to be had."""
    prompt = fallbacks.neutral(tenant, wish.prompt.locale)
    if prompt is None:
        return None
    neutral = dataclasses.replace(wish, prompt=prompt, cache="use", retention="permanent")
    try:
        sought = await seek(prompts, tenant, neutral)
        stored = sought.found
        if stored is None:  # but its master may be there, and then the rendition costs nothing
            job = Job(
                place=sought.place,
                prompt=sought.wish.prompt,
                rendition=wish.rendition,
                tenant=tenant,
                deadline=context.current().deadline,
                may_speak=False,
            )
            stored = (await prompts.maker.make(job)).stored
        _check_limits(wish.consumer, stored.size, stored.duration_ms)
    except IsiError as error:
        logs.failure("fallback.missing", error, level="warning", locale=prompt.locale)
        return None
    url = prompts.url(sought.place, wish.rendition)
    return Answer(sought.id, url, "degraded", "hit", sought.wish, stored, FREE, stored.expires_at)


async def ended(work: asyncio.Future[T]) -> None:
    """Cancel what nobody waits for any more, and wait for its end: nothing may run after the answer."""
    if not work.done():
        work.cancel()
        await asyncio.wait((work,))
        if not work.cancelled():
            work.exception()  # nobody is left to hear of it


async def _leave_for_later(prompts: Prompts, place: Place, wish: Wish, replaces: bool) -> float | None:
    """Have it made by another invocation; from the recipe, so that whoever gets it first can make it as well."""
    made_at = await prompts.recipes.write(place, wish.prompt)
    await prompts.later.make(place, wish.rendition, made_at if replaces else None)
    return expires_at(place, made_at)


def _check_limits(consumer: Consumer | None, size: int, duration_ms: int) -> None:
    if size > MAX_BYTES:
        raise RequestError(errors=[FieldError("text", "too_long", {"max_bytes": MAX_BYTES})])
    if consumer is None:
        return
    if consumer.max_bytes is not None and size > consumer.max_bytes:
        raise RequestError(errors=[FieldError("consumer", "too_long", {"max_bytes": consumer.max_bytes})])
    if consumer.max_duration_ms is not None and duration_ms > consumer.max_duration_ms:
        raise RequestError(errors=[FieldError("consumer", "too_long", {"max_duration_ms": consumer.max_duration_ms})])
