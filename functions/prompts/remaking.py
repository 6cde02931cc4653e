"""Making a prompt again from its recipe: for a player that asks for what is not there, or for work left for later."""

from __future__ import annotations

from functions.prompts.ids import ID, ONCE
from functions.prompts.later import Make
from functions.prompts.maker import DayOver, Job, Made
from functions.prompts.prompt import Place
from functions.prompts.recipe import expires_at
from functions.prompts.rendition import RENDITIONS, Rendition
from functions.prompts.revisions import Retired
from functions.prompts.service import Prompts
from functions.prompts.stored import Stored
from isikit import logs
from isikit.errors import Gone, NotFound, RequestError
from isikit.host import context
from isikit.host.context import Deadline


async def remake(
    prompts: Prompts,
    place: Place,
    rendition: Rendition,
    deadline: Deadline,
    *,
    may_speak: bool = True,
    replaces: bool = False,
) -> Made:
    """Make a rendition from the stored master, or where that is missing or damaged from the recipe.

    Always under the claim, for prompts of a day too: the one who left it for later and the player come at once.

    Raises
    ------
    NotFound
        There is no recipe, or its tenant is gone.
    Retired
        It was retired.
    DayOver
        Its day is over.
    NotReady
        It would have to be spoken, and may not be.
    """
    recipe = await prompts.recipes.read(place)
    if recipe is None and await prompts.revisions.is_retired(place.tenant_id, place.slot):
        raise Retired
    tenant = (await prompts.tenants.current()).find(place.tenant_id)
    if recipe is None or tenant is None:
        raise NotFound
    ends_at = expires_at(place, recipe.made_at)
    if ends_at is not None and ends_at <= recipe.now:
        raise DayOver
    return await prompts.maker.make(
        Job(
            place=place,
            prompt=recipe.prompt,
            rendition=rendition,
            tenant=tenant,
            deadline=deadline,
            made_at=recipe.made_at,
            replaces=replaces,
            may_speak=may_speak,
        )
    )


async def carry_out(prompts: Prompts, make: Make, deadline: Deadline) -> bool:
    """Do what was left for later. Doing it twice does no harm, and costs nothing the second time.

    Returns
    -------
    bool
        Whether it is there now; False where the prompt was deleted or retired, or its day ended meanwhile.

    Raises
    ------
    RequestError
        The event names nothing that could be made.
    """
    rendition = RENDITIONS.get(make.rendition)
    if rendition is None or not (ID.fullmatch(make.id) or ONCE.fullmatch(make.id)):
        raise RequestError("The event names no prompt.")
    place = Place(make.tenant, make.retention, make.id)
    context.update(tenant_id=make.tenant)
    look = await prompts.cache.find(place.rendition_key(rendition))
    found = look.intact
    replaces = make.older_than is not None and await _is_older(prompts, place, found, make.older_than)
    if found is not None and not replaces:
        return True
    try:
        made = await remake(prompts, place, rendition, deadline, replaces=replaces)
    except (NotFound, Gone) as error:
        logs.event("prompt.dropped", prompt_id=place.slot, reason=error.code, retention=place.retention)
        return False
    logs.event(
        "prompt.made",
        prompt_id=place.slot,
        rendition=rendition.name,
        retention=place.retention,
        cache=made.how,
        characters_billed=made.cost.characters,
        calls_billed=made.cost.calls,
    )
    return True


async def _is_older(prompts: Prompts, place: Place, rendition: Stored | None, older_than: float) -> bool:
    """Whether the audio is still that of before a refresh. Where the rendition is not there, its master says."""
    found = rendition or (await prompts.cache.master(place.master_key)).intact
    return found is not None and found.last_modified <= older_than
