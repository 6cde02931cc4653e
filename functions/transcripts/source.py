"""Where a recording comes from: its tenant by its place, its call id by its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.transcripts.events import INPUT, Created, metadata_of
from isikit.objects import ObjectStore

if TYPE_CHECKING:
    from isikit import tenants

CALL_ID: Final = "call-id"  # x-oss-meta-call-id
MAX_CALL_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a recording besides its sound.

    Attributes
    ----------
    tenant
        The second element of its path, known or not; "" where there is none.
    call_id
        The id of the phone call, as the uploader gave it.
    """

    tenant: str
    call_id: str | None


def tenant_of(key: str) -> str:
    """The tenant's name in `in/{tenant}/...`, or "" where the recording lies right under `in/`."""
    name, slash, _ = key.removeprefix(INPUT).partition("/")
    return name if slash else ""


def rule_of(key: str, tenant: tenants.Tenant) -> tenants.Source | None:
    """The tenant's rule for a recording: that of the longest prefix of what follows `in/{tenant}/`."""
    path = key.removeprefix(INPUT).removeprefix(f"{tenant.id}/")
    matching = [rule for rule in tenant.sources if path.startswith(rule.prefix)]
    return max(matching, key=lambda rule: len(rule.prefix), default=None)


def call_id_of(metadata: Mapping[str, str]) -> str | None:
    """The call id in an object's metadata, None where it is missing, empty, absurdly long or no line of text."""
    value = metadata_of(metadata).get(CALL_ID, "").strip()
    return value if 0 < len(value) <= MAX_CALL_ID and value.isprintable() else None


async def trace(created: Created, recordings: ObjectStore) -> Source:
    """The source of a recording. Older events carry no metadata: then the object itself is asked.

    Raises
    ------
    StorageError
        It could not be asked.
    """
    metadata = created.metadata
    if metadata is None:
        info = await recordings.head(created.key)
        metadata = {} if info is None else info.metadata
    return Source(tenant_of(created.key), call_id_of(metadata))
