"""Reading `POST /v1/uploads`: what recording is to be uploaded, and what is known of its call. All mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast
from urllib.parse import quote

from isikit.errors import FieldError, NotJson, RequestError

Kind = Literal["form", "put"]

KINDS: Final[tuple[Kind, ...]] = ("form", "put")
FIELDS: Final = ("kind", "extension", "content_type", "size_bytes", "metadata")
DIRECTIONS: Final = ("inbound", "outbound", "internal")
MAX_BYTES: Final = 256 * 1024 * 1024  # what is transcribed at most
MAX_METADATA_CHARACTERS: Final = 128
CONTENT_TYPES: Final = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
}
"""What is decoded, by extension. Headerless audio is not: it needs a rule for where it comes from."""
_EXTENSIONS: Final = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z")


@dataclass(frozen=True, slots=True)
class Recording:
    """An upload that is wanted.

    Attributes
    ----------
    kind
        By a browser's form, or by PUT.
    extension, content_type
        Of its key and of the object.
    size_bytes
        Its exact size, where that was said; a PUT must say it.
    metadata
        `x-oss-meta-*` by name: ASCII, because headers are; every other character percent-encoded as UTF-8.
    """

    kind: Kind
    extension: str
    content_type: str
    size_bytes: int | None
    metadata: dict[str, str]


def parse(body: object) -> Recording:
    """Read a request's JSON.

    Raises
    ------
    NotJson
        It is no object.
    RequestError
        400, with a `FieldError` for every mistake: `unknown`, `type`, `missing`, `not_allowed`, `range`, `conflict`.
    """
    if not isinstance(body, dict):
        raise NotJson("The body is not an object.")
    mistakes = [FieldError(name, "unknown", list(FIELDS)) for name in body if name not in FIELDS]
    kind = body.get("kind", "form")
    if kind not in KINDS:
        mistakes.append(FieldError("kind", "not_allowed", list(KINDS)))
    extension = _extension(body, mistakes)
    size_bytes = _size_bytes(body, kind, mistakes)
    metadata = _metadata(body.get("metadata", {}), mistakes)
    if mistakes:
        raise RequestError(errors=mistakes)
    return Recording(cast(Kind, kind), extension, CONTENT_TYPES[extension], size_bytes, metadata)


def _extension(body: dict[str, Any], mistakes: list[FieldError]) -> str:
    """From the extension, or else the content type; `""` where there is a mistake."""
    extension, content_type = body.get("extension"), body.get("content_type")
    if extension is None and content_type is None:
        mistakes.append(FieldError("extension", "missing", list(CONTENT_TYPES)))
        return ""
    if extension is not None and (not isinstance(extension, str) or extension not in CONTENT_TYPES):
        mistakes.append(FieldError("extension", "not_allowed", list(CONTENT_TYPES)))
        return ""
    if content_type is None:
        return str(extension)
    plain = content_type.partition(";")[0].strip().lower() if isinstance(content_type, str) else ""
    if plain not in _EXTENSIONS:
        mistakes.append(FieldError("content_type", "not_allowed", sorted(_EXTENSIONS)))
        return ""
    implied = _EXTENSIONS[plain]
    if extension is None:
        return implied
    if CONTENT_TYPES[extension] != CONTENT_TYPES[implied]:
        mistakes.append(FieldError("content_type", "conflict", CONTENT_TYPES[extension]))
    return extension


def _size_bytes(body: dict[str, Any], kind: object, mistakes: list[FieldError]) -> int | None:
    allowed = {"min": 1, "max": MAX_BYTES}
    size = body.get("size_bytes")
    if size is None:
        if kind == "put":
            mistakes.append(FieldError("size_bytes", "missing", allowed))
        return None
    if not isinstance(size, int) or isinstance(size, bool):
        mistakes.append(FieldError("size_bytes", "type", "integer"))
    elif not 1 <= size <= MAX_BYTES:
        mistakes.append(FieldError("size_bytes", "range", allowed))
    return cast(int, size)


def _metadata(given: object, mistakes: list[FieldError]) -> dict[str, str]:
    if not isinstance(given, dict):
        mistakes.append(FieldError("metadata", "type", "object"))
        return {}
    kept: dict[str, str] = {}
    for name, value in given.items():
        path = f"metadata.{name}"
        if name not in METADATA:
            mistakes.append(FieldError(path, "unknown", list(METADATA)))
        elif not isinstance(value, str):
            mistakes.append(FieldError(path, "type", "string"))
        elif mistake := METADATA[name](value):
            mistakes.append(FieldError(path, *mistake))
        else:
            kept[name.replace("_", "-")] = quote(value, safe=" !#$&'()*+,/:;=?@[]")
    return kept


def _line(value: str) -> tuple[str, object] | None:
    """One line of text without blanks around it, which headers would lose."""
    if not 1 <= len(value) <= MAX_METADATA_CHARACTERS or value != value.strip():
        return "range", {"min": 1, "max": MAX_METADATA_CHARACTERS}
    return None if value.isprintable() else ("not_allowed", "printable characters")


def _direction(value: str) -> tuple[str, object] | None:
    return None if value in DIRECTIONS else ("not_allowed", list(DIRECTIONS))


def _moment(value: str) -> tuple[str, object] | None:
    allowed = "not_allowed", "RFC 3339 with an offset, for example 2026-03-01T08:30:00+08:00"
    if not _MOMENT.match(value):
        return allowed
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return allowed
    return None


METADATA: Final[dict[str, Callable[[str], tuple[str, object] | None]]] = {
    "call_id": _line,
    "segment": _line,
    "agent": _line,
    "queue": _line,
    "direction": _direction,
    "started_at": _moment,
}
"""What may be said of a call, with what is wrong with a value. `started_at` becomes `x-oss-meta-started-at`."""
