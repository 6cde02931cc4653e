"""Where a recording comes from: its tenant by its place, what is known of its call by its metadata.

Metadata is what an uploader says, so it is cut to a closed list of names, checked value by value, and kept beside the
recording's facts, never taken for one. By precedence, value by value:

1. a sidecar `{key}.json` that lies beside the recording when its event comes: a JSON object of strings;
2. the object's own `x-oss-meta-*`, percent-encoded UTF-8, as upload slots write it.

An empty value says nothing. What is no value of its kind is left out, and the next source is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from functions.transcripts.events import INPUT, LONGEST_KEY, Created, metadata_of
from isikit.objects import ObjectStore

if TYPE_CHECKING:
    from isikit import tenants

SIDECAR: Final = ".json"
MAX_SIDECAR_BYTES: Final = 16 * 1024
CALL_ID: Final = "call_id"
MAX_CALL_ID: Final = 256
MAX_CHARACTERS: Final = 128
DIRECTIONS: Final = ("inbound", "outbound", "internal")
_RFC3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{5,8}(\.[0-9]{1,9})?([Zz]|[+-][0-9:]{4,6})\Z")
"""What `datetime` reads is more than that: weeks, and any character at all between day and time."""
_RECORD_BYTES: Final = 6500
"""What key, call id and metadata may fill together of a journal's record."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a recording besides its sound.

    Attributes
    ----------
    tenant
        The second element of its path, known or not; "" where there is none.
    call_id
        The id of the phone call, as the uploader gave it.
    metadata
        What else is said of the call: `segment`, `agent`, `queue`, `direction`, `started_at` (RFC 3339).
    """

    tenant: str
    call_id: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


def tenant_of(key: str) -> str:
    """The tenant's name in `in/{tenant}/...`, or "" where the recording lies right under `in/`."""
    name, slash, _ = key.removeprefix(INPUT).partition("/")
    return name if slash else ""


def rule_of(key: str, tenant: tenants.Tenant) -> tenants.Source | None:
    """The tenant's rule for a recording: that of the longest prefix of what follows `in/{tenant}/`."""
    path = key.removeprefix(INPUT).removeprefix(f"{tenant.id}/")
    matching = [rule for rule in tenant.sources if path.startswith(rule.prefix)]
    return max(matching, key=lambda rule: len(rule.prefix), default=None)


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
    said = known(await _sidecar(created.key, recordings), of_object(metadata))
    call_id = said.pop(CALL_ID, None)
    return Source(tenant_of(created.key), call_id, _fitting(created.key, call_id, said))


def of_object(metadata: Mapping[str, str]) -> dict[str, str]:
    """What `x-oss-meta-*` headers say, by the names of sidecars."""
    given = metadata_of(metadata)
    return {name: unquote(given[header]) for name in KINDS if (header := name.replace("_", "-")) in given}


def known(*sources: Mapping[str, Any]) -> dict[str, str]:
    """What is said of a call, by the first source that says something of its kind."""
    found: dict[str, str] = {}
    for name, clean in KINDS.items():
        for source in sources:
            value = source.get(name)
            if isinstance(value, str) and (cleaned := clean(value.strip())):
                found[name] = cleaned
                break
    return found


async def _sidecar(key: str, recordings: ObjectStore) -> dict[str, Any]:
    """The sidecar's object; empty where there is none, or nothing that could be one."""
    place = key + SIDECAR
    if len(place.encode()) > LONGEST_KEY:
        return {}
    info = await recordings.head(place)
    if info is None or info.size > MAX_SIDECAR_BYTES:
        return {}
    found = await recordings.get(place)
    if found is None or len(found[1]) > MAX_SIDECAR_BYTES:
        return {}
    try:
        told = msgspec.json.decode(found[1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _call_id(value: str) -> str:
    return value if len(value) <= MAX_CALL_ID and value.isprintable() else ""


def _line(value: str) -> str:
    return value if len(value) <= MAX_CHARACTERS and value.isprintable() else ""


def _direction(value: str) -> str:
    return value if value in DIRECTIONS else ""


def _moment(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return ""
    return value if moment.tzinfo is not None and _RFC3339.match(value) else ""


KINDS: Final[Mapping[str, Callable[[str], str]]] = {
    CALL_ID: _call_id,
    "segment": _line,
    "agent": _line,
    "queue": _line,
    "direction": _direction,
    "started_at": _moment,
}
"""What may be said of a call; each gives the value back, or "" where it is none."""


def _fitting(key: str, call_id: str | None, said: Mapping[str, str]) -> dict[str, str]:
    """As much of it as a journal's record holds beside the key; all of it, unless somebody tries how much that is."""
    left = _RECORD_BYTES - len(msgspec.json.encode([key, call_id]))
    kept: dict[str, str] = {}
    for name, value in said.items():
        left -= len(msgspec.json.encode({name: value}))
        if left >= 0:
            kept[name] = value
    return kept
