"""Work that is done later: the event by which this function has a rendition made, see `isikit.self_invocation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from functions.prompts.prompt import Place
from functions.prompts.rendition import Rendition

if TYPE_CHECKING:
    from isikit.self_invocation import SelfInvocation


class Make(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rendition that is to be made from its recipe.

    Attributes
    ----------
    older_than
        Epoch seconds by OSS's clock: what was published up to then is unwanted, and is spoken anew.
    """

    tenant: str
    id: str
    retention: Literal["permanent", "day"]
    rendition: str
    older_than: float | None = None


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this function sends to itself. It names a recipe and holds no text."""

    make: Make


def event_of(place: Place, rendition: Rendition, older_than: float | None = None) -> bytes:
    """The event that makes a rendition."""
    make = Make(place.tenant_id, place.slot, place.retention, rendition.filename, older_than)
    return msgspec.json.encode(Event(make))


class Later:
    """Has renditions made by invocations of their own."""

    def __init__(self, invocation: SelfInvocation) -> None:
        self._invocation = invocation

    async def make(self, place: Place, rendition: Rendition, older_than: float | None = None) -> bool:
        """Have a rendition made. That this fails is no error: whoever gets the audio then makes it."""
        return await self._invocation.leave(event_of(place, rendition, older_than), rendition=rendition.name)
