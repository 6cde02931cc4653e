"""The event that the traditional API Gateway gives to a function, and which of the client's parameters reach it.

Form: `{path, httpMethod, headers, queryParameters, pathParameters, body, isBase64Encoded}` (Function Compute's page on
the API Gateway trigger). System parameters come only when configured.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field

from aiohttp import web

from localcloud.fc.headers import HOP_BY_HOP

SYSTEM = ("CaAppId", "CaRequestId", "CaClientIp", "CaStage", "CaHttpSchema", "CaClientUa")
MODES = ("filter", "pass_through")
_PLACE = re.compile(r"\[([A-Za-z0-9_.-]+)\]")


@dataclass(frozen=True, slots=True)
class Match:
    """Values of the path's parameters."""

    path_parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Caller:
    """What the gateway knows of a call. `app_id` is the string `null` when nobody signed."""

    app_id: str
    request_id: str
    client_ip: str
    stage: str


@dataclass(frozen=True, slots=True)
class Api:
    """One API with an event function behind it.

    Parameters
    ----------
    method, path
        `ANY` takes all; `/v1/things/[id]` has a path parameter, a last `/*` takes everything below.
    authentication
        `app` or `none`.
    apps
        Keys of the applications that are authorised.
    mode
        `filter`: only `parameters` reach the function. `pass_through`: unknown parameters too.
    parameters
        Names of headers and query parameters that are defined.
    constants
        Headers that the gateway adds, a client's own being replaced.
    system
        System parameter -> the header it comes in.
    """

    method: str
    path: str
    function: str
    qualifier: str = "LATEST"
    authentication: str = "app"
    apps: frozenset[str] = frozenset()
    mode: str = "filter"
    parameters: frozenset[str] = frozenset()
    constants: dict[str, str] = field(default_factory=dict, repr=False)
    system: dict[str, str] = field(default_factory=dict)
    stages: tuple[str, ...] = ("RELEASE",)
    timeout_ms: int = 10_000

    def match(self, method: str, path: str) -> Match | None:
        """The path's parameters, or `None` when the request is not for this API."""
        if self.method not in ("ANY", method):
            return None
        below = self.path.endswith("/*")
        pattern, at = "", 0
        template = self.path[:-2] if below else self.path
        names = []
        for place in _PLACE.finditer(template):
            pattern += re.escape(template[at : place.start()]) + "([^/]+)"
            names.append(place[1])
            at = place.end()
        pattern += re.escape(template[at:]) + ("(?:/.*)?" if below else "")
        found = re.fullmatch(pattern, path, re.DOTALL)
        return None if found is None else Match(dict(zip(names, found.groups(), strict=True)))


def event_of(api: Api, found: Match, request: web.Request, body: bytes, caller: Caller) -> bytes:
    """The event as JSON."""
    system = {
        "CaAppId": caller.app_id,
        "CaRequestId": caller.request_id,
        "CaClientIp": caller.client_ip,
        "CaStage": caller.stage,
        "CaHttpSchema": "http",
        "CaClientUa": request.headers.get("User-Agent", ""),
    }
    added = {
        "X-Ca-Api-Gateway": caller.request_id,
        "X-Forwarded-For": caller.client_ip,
        "CA-Host": request.host,
        **{header: system[name] for name, header in api.system.items()},
        **api.constants,
    }
    ours = {name.lower() for name in added}
    known = {name.lower() for name in api.parameters}
    headers = {}
    for name, value in request.headers.items():
        folded = name.lower()
        if folded in ours or folded in HOP_BY_HOP or folded.startswith("x-fc-"):
            continue
        if api.mode == "pass_through" or folded in known or folded == "content-type":
            headers[name] = value
    query = {
        name: value for name, value in request.query.items() if api.mode == "pass_through" or name in api.parameters
    }
    try:
        text, encoded = body.decode("utf-8"), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    return json.dumps(
        {
            "path": request.path,
            "httpMethod": request.method,
            "headers": {**headers, **added},
            "queryParameters": query,
            "pathParameters": found.path_parameters,
            "body": text,
            "isBase64Encoded": encoded,
        },
        ensure_ascii=False,
    ).encode()
