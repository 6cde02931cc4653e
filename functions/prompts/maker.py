"""Making what is not there: a master, spoken once, and every rendition derived from the stored one."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal

from functions.prompts import rush
from functions.prompts.cache import Cache
from functions.prompts.prompt import FREE, Cost, Place, Prompt
from functions.prompts.recipe import Recipes, expires_at
from functions.prompts.rendition import Derived, Rendition, derive
from functions.prompts.revisions import Retired, Revisions, Superseded
from functions.prompts.rush import Release
from functions.prompts.stored import Stored, metadata
from functions.prompts.synthesis import Progress, Spoken, Synthesis
from functions.prompts.together import both
from isikit import logs
from isikit.audio import wav
from isikit.errors import AudioError, Gone, IsiError, NotFound
from isikit.host.context import Deadline
from isikit.journal import Journal, Snapshot
from isikit.objects import ObjectStore
from isikit.singleflight import SingleFlight
from isikit.tenants import Tenant
from isikit.threads import BoundedThreads

How = Literal["hit", "miss", "coalesced"]

MASTER_TYPE = "audio/wav"


class NotReady(IsiError):
    """The audio is being made, or would have to be made first."""

    code = "prompt.pending"
    status = 503
    title = "This prompt is not ready yet"
    advice = "Try again after Retry-After."
    retryable = True
    retry_after = 2


class DayOver(Gone):
    """A prompt of a day, after that day."""

    title = "This prompt's day is over"
    advice = "Ask for the prompt again."


@dataclass(frozen=True, slots=True)
class Job:
    """One rendition that is to be had.

    Attributes
    ----------
    made_at
        When the recipe was written; None where it is still to be written.
    is_claimed
        Whether other instances are kept from speaking it meanwhile.
    replaces
        Whether what lies there is spoken anew and written over: it is unwanted, or its day is over.
    may_speak
        Whether the speech service may be asked.
    is_unchecked
        Whether it is still to be seen that the prompt is not retired.
    """

    place: Place
    prompt: Prompt
    rendition: Rendition
    tenant: Tenant
    deadline: Deadline
    made_at: float | None = None
    is_claimed: bool = True
    replaces: bool = False
    may_speak: bool = True
    is_unchecked: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """Audio that is there, how it came about, and what was paid for it by this call."""

    stored: Stored
    how: How
    cost: Cost = FREE


@dataclass(frozen=True, slots=True)
class _Mastered:
    """A master with its bytes, and the rendition that was published along with it by who spoke it."""

    made: Made
    rendition: Stored | None = None


class Maker:
    """Makes masters and renditions, each once at a time.

    Parameters
    ----------
    cache
        The prompts bucket.
    state
        The state bucket, for claims.
    owner
        Names this instance in claims.
    threads
        For deriving: it is computing, and the loop has hits to answer.
    """

    def __init__(
        self,
        cache: Cache,
        state: ObjectStore,
        recipes: Recipes,
        revisions: Revisions,
        synthesis: Synthesis,
        *,
        owner: str,
        threads: BoundedThreads,
    ) -> None:
        self._cache = cache
        self._state = state
        self._recipes = recipes
        self._revisions = revisions
        self._synthesis = synthesis
        self._owner = owner
        self._threads = threads
        self._renditions: SingleFlight[Made] = SingleFlight()
        self._masters: SingleFlight[_Mastered] = SingleFlight()
        self._progress: dict[str, Progress] = {}

    def is_queued(self, place: Place) -> bool:
        """Whether a place's synthesis waits for its turn: nothing is spent on it yet."""
        progress = self._progress.get(place.master_key)
        return progress is not None and progress.is_queued

    async def make(self, job: Job) -> Made:
        """Make a rendition, or wait for who makes it already; what this call did not pay costs nothing.

        Raises
        ------
        NotReady
            It would have to be spoken first, and the job does not allow it.
        Superseded
            It was not checked, and is retired; nothing was done.
        IsiError
            What went wrong, the same for all who waited.
        """
        leads = False

        async def work() -> Made:
            nonlocal leads
            leads = True
            return await self._rendition(job)

        key = job.place.rendition_key(job.rendition)
        made = await self._renditions.run((key, job.replaces, job.may_speak), work)
        return made if leads else _followed(made)

    async def _rendition(self, job: Job) -> Made:
        master = await self._master(job)
        stored = master.rendition
        if stored is None or stored.key != job.place.rendition_key(job.rendition):
            stored = await self._derived(job, master.made.stored)
        return dataclasses.replace(master.made, stored=stored)

    async def _derive(self, job: Job, pcm: bytes, rate_hz: int) -> Derived:
        return await self._threads.run(functools.partial(derive, pcm, rate_hz, job.rendition))

    async def _derived(self, job: Job, master: Stored, ahead: Derived | None = None) -> Stored:
        """The rendition, derived from the stored master and published; `ahead` was derived from the same bytes."""
        derived = ahead or await self._derive(job, *_samples(master))
        key = job.place.rendition_key(job.rendition)
        entries = metadata(derived.body, derived.duration_ms, master.voice, master.expires_at)
        has_recipe, is_retired = True, False

        async def checked() -> None:
            nonlocal has_recipe, is_retired
            has_recipe, is_retired = await both(
                self._recipes.exists(job.place), self._revisions.is_retired(job.place.tenant_id, job.place.slot)
            )

        stored = await self._cache.publish(
            key, derived.body, job.rendition.content_type, entries, replace=job.replaces, beside=checked
        )
        await self._settle(job, has_recipe, is_retired)
        logs.event(
            "prompt.published",
            prompt_id=job.place.slot,
            rendition=job.rendition.name,
            retention=job.place.retention,
            bytes=stored.size,
            audio_ms=stored.duration_ms,
        )
        return stored

    async def _master(self, job: Job) -> _Mastered:
        leads = False

        async def work() -> _Mastered:
            nonlocal leads
            leads = True
            return await self._found_or_spoken(job)

        master = await self._masters.run((job.place.master_key, job.replaces, job.may_speak), work)
        return master if leads else dataclasses.replace(master, made=_followed(master.made))

    async def _found_or_spoken(self, job: Job) -> _Mastered:
        journal, looking = Journal(self._state, job.place.claim_key), self._cache.master(job.place.master_key)
        reading = journal.read() if job.may_speak and job.is_claimed else _unread()
        (before, snapshot), _ = await both(both(looking, reading), self._checked(job))
        if before.intact is not None and not job.replaces:
            return _Mastered(Made(before.intact, "hit"))
        if not job.may_speak:
            raise NotReady
        self._synthesis.check()
        if not job.is_claimed:
            return await self._spoken(job, asyncio.ensure_future(self._written(job)), _unclaimed)

        async def ready() -> _Mastered | None:
            found = (await self._cache.master(job.place.master_key)).intact
            if found is None or (job.replaces and before.stored is not None and found.etag == before.stored.etag):
                return None
            return _Mastered(Made(found, "coalesced"))

        recipe = asyncio.ensure_future(self._written(job))
        alone = rush.alone(
            journal,
            self._owner,
            job.deadline,
            snapshot=snapshot,
            ready=ready,
            work=lambda release: self._spoken(job, recipe, release),
        )
        (master, _), _ = await both(alone, recipe)
        return master

    async def _checked(self, job: Job) -> None:
        if job.is_unchecked and await self._revisions.is_retired(job.place.tenant_id, job.place.slot):
            raise Superseded

    async def _spoken(self, job: Job, recipe: asyncio.Future[float], release: Release) -> _Mastered:
        """Speak the master, and publish it and the rendition.

        Three writes come one after another: the claim's, the master's and the rendition's. The recipe is written beside
        the claim and the synthesis. The claim is given back while the rendition is published, which whoever comes then
        derives from the same master.
        """
        (master, ahead), _ = await both(self._published(job, recipe), recipe)
        rendition, _ = await both(self._derived(job, master, ahead), release())
        return _Mastered(Made(master, "miss", job.prompt.cost()), rendition)

    async def _written(self, job: Job) -> float:
        """When the recipe was written, by OSS's clock; now, where it was not yet."""
        return job.made_at or await self._recipes.write(job.place, job.prompt)

    async def _published(self, job: Job, recipe: Awaitable[float]) -> tuple[Stored, Derived | None]:
        """The master, spoken and published; of a day, which begins with the recipe, only after that.

        The rendition is derived meanwhile. It counts where what was spoken here is what lies there now.
        """
        spoken = await self._speak(job)
        ends_at = expires_at(job.place, await recipe) if job.place.retention == "day" else None
        if job.replaces:
            # What was derived from the old master goes first: after a crash here it is derived again from either.
            await self._forget_renditions(job.place)
        body = wav.write(spoken.pcm, spoken.rate_hz)
        entries = metadata(body, spoken.duration_ms, job.prompt.voice, ends_at)
        publishing = self._cache.publish(
            job.place.master_key, body, MASTER_TYPE, entries, replace=job.replaces, keep=False
        )
        stored, ahead = await both(publishing, self._derive(job, spoken.pcm, spoken.rate_hz))
        if job.replaces:
            await self._forget_renditions(
                job.place
            )  # a player's GET may have derived one from the old master meanwhile
        return stored, ahead if stored.body == body else None

    async def _speak(self, job: Job) -> Spoken:
        key, progress = job.place.master_key, Progress()
        self._progress[key] = progress
        try:
            return await self._synthesis.speak(job.prompt, job.tenant, job.deadline, progress)
        finally:
            if self._progress.get(key) is progress:
                del self._progress[key]

    async def _settle(self, job: Job, has_recipe: bool, is_retired: bool) -> None:
        """Leave no audio without its recipe: a DELETE may have come in between, and what has none cannot be repaired.

        What was asked for stands, and its recipe is written again; what was only made again goes with its recipe, and
        what was retired meanwhile goes in any case.
        """
        if has_recipe and not is_retired:
            return
        if not is_retired and job.made_at is None:
            await self._recipes.write(job.place, job.prompt)
            return
        await self._recipes.delete(job.place)
        await self._forget_renditions(job.place)
        await self._cache.delete(job.place.master_key)
        raise Retired if is_retired else NotFound

    async def _forget_renditions(self, place: Place) -> None:
        await self._cache.delete(*await self._cache.list(place.prefix))


def _followed(made: Made) -> Made:
    """The same result for one who did not do the work: nothing is billed twice."""
    return dataclasses.replace(made, how="coalesced" if made.how == "miss" else made.how, cost=FREE)


def _samples(master: Stored) -> tuple[bytes, int]:
    if master.body is None:
        raise AudioError("The master was found without its bytes.")
    parsed = wav.read(master.body)
    return parsed.data, parsed.rate_hz


async def _unread() -> Snapshot:
    """Of a claim that is not needed."""
    return Snapshot((), 0, 0.0)


async def _unclaimed() -> None:
    """Give back a claim that was not needed."""
