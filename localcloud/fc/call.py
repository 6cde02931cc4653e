"""One call of the API, after its signature has been verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localcloud.fc.errors import invalid

# An operation answers a JSON object (200), `None` (204) or a response of its own.
Answer = dict[str, Any] | web.Response | None


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated API call. `names` are the decoded parts of the path, in order."""

    request_id: str
    names: tuple[str, ...]
    query: dict[str, str]
    headers: Any
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; fields that are null are left out."""
        try:
            given = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise invalid("the request body is not JSON") from error
        if not isinstance(given, dict):
            raise invalid("the request body is not a JSON object")
        return {name: value for name, value in given.items() if value is not None}
