"""The fields of a JSON body: each read and checked, and every mistake kept until all are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from functions.prompts import stored
from isikit.errors import FieldError, NotJson, RequestError, Unspeakable


class Fields:
    """The body, and what was found wrong with it.

    Every reader answers None, or its default, for a field that is missing or wrong.

    Parameters
    ----------
    body
        The document as it came.
    names
        The fields there are; any other is a mistake.

    Raises
    ------
    NotJson
        The document is no object.
    """

    def __init__(self, body: object, names: Sequence[str]) -> None:
        if not isinstance(body, dict):
            raise NotJson("The body is not an object.")
        self.body: Mapping[str, Any] = body
        self._mistakes = [FieldError(name, "unknown", sorted(names)) for name in body if name not in names]
        self._unspeakable: list[FieldError] = []

    def wrong(self, field: str, code: str, allowed: object = None) -> None:
        """Keep a mistake (400)."""
        self._mistakes.append(FieldError(field, code, allowed))

    def unspeakable(self, error: Unspeakable) -> None:
        """Keep what cannot be spoken (422, where there is nothing else wrong)."""
        self._unspeakable.extend(error.errors)

    def finish(self) -> None:
        """Raise for everything that was kept."""
        if self._mistakes:
            raise RequestError(errors=[*self._mistakes, *self._unspeakable])
        if self._unspeakable:
            raise Unspeakable(errors=self._unspeakable)

    def string(self, name: str) -> str | None:
        """A string."""
        value = self.body.get(name)
        if isinstance(value, str):
            return value
        if name in self.body:
            self.wrong(name, "type", "string")
        return None

    def choice(self, name: str, allowed: Iterable[str], code: str = "not_allowed") -> str | None:
        """One of several strings."""
        value = self.string(name)
        if value is not None and value not in allowed:
            self.wrong(name, code, list(allowed))
            return None
        return value

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        """An integer within bounds; booleans are none."""
        value = self.body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, "type", "integer")
        elif not least <= value <= most:
            self.wrong(name, "range", {"min": least, "max": most})
        else:
            return value
        return default

    def number(self, name: str, allowed: Sequence[int]) -> int | None:
        """One of several integers."""
        value = self.body.get(name)
        if name not in self.body:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, "type", "integer")
        elif value not in allowed:
            self.wrong(name, "not_allowed", list(allowed))
        else:
            return value
        return None

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.body.get(name, default)
        if isinstance(value, bool):
            return value
        self.wrong(name, "type", "boolean")
        return default

    def moment(self, name: str) -> float | None:
        """A moment in RFC 3339 with `Z`, in epoch seconds."""
        text = self.string(name)
        found = stored.moment(text) if text is not None else None
        if text is not None and found is None:
            self.wrong(name, "format", "2026-03-01T08:30:00Z")
        return found
