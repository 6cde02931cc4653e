"""Retired prompts: which ids are over for good, and which revision a request means now.

A small object per retired id, `retired/{tenant}/{id}` in the state bucket, and nothing else: writing it twice says the
same, so that no claim is needed. The revision that a request means is the first whose id is not retired. It is looked
up on misses only, beside the maker's first looks where something is to be made; an instance remembers it, and as
revisions only grow, what it remembers is right or too small, and what is too small finds nothing and is looked up.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Final

from functions.prompts.prompt import Prompt
from isikit.errors import Gone
from isikit.objects import ObjectStore
from isikit.secrets import Keys

REMEMBERED: Final = 10_000
"""Retired prompts that an instance knows the revision of; the oldest are looked up again."""


class Retired(Gone):
    """The prompt was retired: its audio is wrong, and its URL will never play again."""

    title = "This prompt was retired"


class Superseded(Retired):
    """It was retired before anything was done for it: the request means a later revision."""


class Revisions:
    """What was retired.

    Parameters
    ----------
    store
        The state bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: OrderedDict[str, int] = OrderedDict()  # by the id of revision 0

    def known(self, prompt: Prompt, keys: Keys, tenant_id: str) -> Prompt:
        """The prompt in the revision that this instance remembers. Asks nobody."""
        if not self._known:
            return prompt  # saves a digest for everybody who never retired anything
        revision = self._known.get(_first_id(prompt, keys, tenant_id), 0)
        return dataclasses.replace(prompt, revision=revision) if revision > prompt.revision else prompt

    async def current(self, prompt: Prompt, keys: Keys, tenant_id: str) -> Prompt:
        """The prompt in the revision that a request means: one HEAD, and one more for every time it was retired.

        Raises
        ------
        StorageError
            OSS could not be asked.
        """
        found = self.known(prompt, keys, tenant_id)
        while await self.is_retired(tenant_id, found.id(keys, tenant_id)):
            found = dataclasses.replace(found, revision=found.revision + 1)
        if found.revision:
            first = _first_id(prompt, keys, tenant_id)
            self._known[first] = found.revision
            self._known.move_to_end(first)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    async def is_retired(self, tenant_id: str, prompt_id: str) -> bool:
        """Whether an id is over."""
        return await self._store.head(_key(tenant_id, prompt_id)) is not None

    async def retire(self, tenant_id: str, prompt_id: str) -> None:
        """Say that an id is over. Saying it again changes nothing."""
        await self._store.put(_key(tenant_id, prompt_id), b"{}", content_type="application/json")


def _first_id(prompt: Prompt, keys: Keys, tenant_id: str) -> str:
    return (dataclasses.replace(prompt, revision=0) if prompt.revision else prompt).id(keys, tenant_id)


def _key(tenant_id: str, prompt_id: str) -> str:
    return f"retired/{tenant_id}/{prompt_id}"
