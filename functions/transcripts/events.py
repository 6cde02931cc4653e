"""Events as they reach the function, parsed at the edge into objects that came into being.

Three shapes are understood (Function Compute's OSS trigger and EventBridge's documentation):

- the native trigger: `{"events": [record, ...]}`;
- EventBridge: one CloudEvent, whose `data` is such a record, or an array of them (event streaming); with the schema
  `RawData` the records come without their envelope;
- a timer: `{"triggerTime", "triggerName", "payload"}`;
- this function's own, for a job that a callback told of: `{"resume": job}`;
- an operator's wish to have a job done anew: `{"replay": {"job", "generation"}}`, see `scripts/replay`.

**Keys are used as they come.** The trigger sends them raw (every official sample uses them so); unquoting would turn
a `+` into a space and break a `%` in a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from isikit.errors import RequestError

INPUT: Final = "in/"
OUTPUTS: Final = ("transcripts/", "quarantine/")

NEW_OBJECT: Final = frozenset(
    f"ObjectCreated:{what}" for what in ("PutObject", "PostObject", "CompleteMultipartUpload", "CopyObject")
)
"""Only these leave a whole object behind: a wildcard trigger also reports the parts of a multipart upload (a 12 MB
upload was seen to cause five events)."""
GROWN: Final = "ObjectCreated:AppendObject"
"""An appended object changes its ETag with every append: it is a recording once it has stopped growing."""

LONGEST_KEY: Final = 1023  # bytes in UTF-8: OSS's limit
_ETAG = re.compile(r"[0-9A-Z-]{1,64}\Z")  # mostly an MD5 in hex; with -N after it that of a multipart upload
_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}\Z")


class EventUnreadable(RequestError):
    """The event, or a record in it, is not one this function knows.

    Raised, so that the platform counts the invocation as failed, repeats it as often as it is configured to and then
    drops it, or sends it to the function's destination for failures where one is configured.
    """

    code = "event.unreadable"
    title = "The event is not one this function knows"
    advice = "Send OSS object-created events, natively or by EventBridge as CloudEvents or RawData, or timer events."


@dataclass(frozen=True, slots=True)
class Created:
    """An object that came into being.

    Attributes
    ----------
    etag
        Upper case, without quotes.
    size
        Bytes, or None where the event does not say.
    metadata
        The object's own, names in lower case without `x-oss-meta-`; None where the event does not carry it (only
        newer events do).
    uploaded_at
        When, by OSS's clock, in seconds since the epoch; None where the event does not say. Samples have whole
        seconds.
    request_id
        The upload's own, the same in every delivery of its event; "" where the event does not say.
    """

    bucket: str
    key: str
    etag: str
    size: int | None = None
    metadata: Mapping[str, str] | None = None
    uploaded_at: float | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """What an event about objects holds: new ones, such as may still grow, other records, what is not understood."""

    created: tuple[Created, ...] = ()
    grown: tuple[Created, ...] = ()
    other_kinds: int = 0
    unreadable: tuple[EventUnreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer went off."""


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job is to be done anew, if `generation` is still its latest."""

    job: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    generation: Annotated[int, msgspec.Meta(ge=1)]


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody must look after a job: its task is said to have ended."""

    resume: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]

    def event(self) -> bytes:
        """As it is sent."""
        return msgspec.json.encode(self)


class _Bucket(msgspec.Struct):
    name: str


class _Meta(msgspec.Struct, rename="camel"):
    user_meta: dict[str, str] = {}


class _Object(msgspec.Struct, rename="camel"):
    key: str
    e_tag: str
    size: Annotated[int, msgspec.Meta(ge=0, lt=2**48)] | None = None  # 48.8 TB is the largest object
    object_meta: _Meta | None = None


class _Oss(msgspec.Struct):
    bucket: _Bucket
    object: _Object


class _Record(msgspec.Struct, rename="camel"):
    event_name: str
    oss: _Oss
    event_time: Any = None
    response_elements: Any = None


@dataclass(slots=True)
class _Sorted:
    created: list[Created] = field(default_factory=list)
    grown: list[Created] = field(default_factory=list)
    other_kinds: int = 0
    unreadable: list[EventUnreadable] = field(default_factory=list)


def parse(event: bytes) -> Objects | Timer | Replay | Resume:
    """What the event says. A record that cannot be understood does not hide the others.

    Raises
    ------
    EventUnreadable
        Nothing of it can be understood.
    """
    try:
        document = json.loads(event)
    except (ValueError, RecursionError) as error:
        raise EventUnreadable("the event is not JSON, or nested too deeply") from error
    if isinstance(document, dict) and "triggerName" in document and "triggerTime" in document:
        return Timer()
    if isinstance(document, dict) and set(document) == {"replay"}:
        try:
            return msgspec.convert(document["replay"], Replay)
        except msgspec.ValidationError as error:
            raise EventUnreadable("a replay names a job and its generation") from error
    if isinstance(document, dict) and set(document) == {"resume"}:
        try:
            return msgspec.convert(document, Resume)
        except msgspec.ValidationError as error:
            raise EventUnreadable("a resumption names a job") from error
    found = _Sorted()
    for raw in _records(document):
        _sort(raw, found)
    return Objects(tuple(found.created), tuple(found.grown), found.other_kinds, tuple(found.unreadable))


def why_skipped(created: Created, recordings_bucket: str) -> str | None:
    """The reason not to open a job for this object, or None where it is a recording."""
    if created.bucket != recordings_bucket:
        return "event.other_bucket"
    if created.key.startswith(OUTPUTS):
        return "event.own_output"
    if created.key.endswith("/"):
        return "event.folder"
    if not created.key.startswith(INPUT):
        return "event.not_input"
    if created.key.endswith(".json"):
        return "event.sidecar"  # says something of the recording beside it, see `source`
    return None


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """User metadata with names in lower case and without their prefix, however the sender wrote them."""
    return {name.lower().removeprefix("x-oss-meta-"): value for name, value in headers.items()}


def _records(document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        if isinstance(document.get("events"), list):
            return list(document["events"])
        if "data" in document or "oss" in document:
            return [document]
    raise EventUnreadable("the event has neither records nor a timer")


def _sort(raw: Any, found: _Sorted) -> None:
    """Put one record where it belongs."""
    if isinstance(raw, dict) and "data" in raw:
        raw = raw["data"]
    try:
        name = raw["eventName"]
        if not isinstance(name, str):
            raise TypeError
        kind = name.removeprefix("oss:")
        if kind not in NEW_OBJECT and kind != GROWN:
            found.other_kinds += 1
        else:
            created = _created(msgspec.convert(raw, _Record, strict=False))
            (found.grown if kind == GROWN else found.created).append(created)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError, RecursionError) as error:
        unreadable = EventUnreadable("a record does not name a bucket, a key and an ETag")
        unreadable.__cause__ = error
        found.unreadable.append(unreadable)


def _created(record: _Record) -> Created:
    """The object of a record; `ValueError` where its name or version cannot be one."""
    described, meta = record.oss.object, record.oss.object.object_meta
    etag = described.e_tag.strip('"').upper()
    longest = LONGEST_KEY  # what is longer cannot lie in OSS, and would not fit into a record of the journal
    if not (record.oss.bucket.name and 0 < len(described.key.encode()) <= longest and _ETAG.match(etag)):
        raise ValueError
    metadata = None if meta is None else metadata_of(meta.user_meta)
    return Created(
        record.oss.bucket.name,
        described.key,
        etag,
        described.size,
        metadata,
        _moment(record.event_time),
        _request_id(record.response_elements),
    )


def _moment(told: object) -> float | None:
    """Seconds since the epoch, None where nothing usable is told: a recording is transcribed all the same."""
    if not isinstance(told, str):
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _request_id(told: object) -> str:
    value = told.get("requestId") if isinstance(told, dict) else None
    return value if isinstance(value, str) and _REQUEST_ID.match(value) else ""
