"""What the cloud-native gateway does on a route before it forwards: authenticate, authorise, mark.

A client can never send the marks themselves: `X-Mse-Consumer` and `X-Route-Secret` are taken out of every request, on
every route.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDict

from localcloud.clock import Clock
from localcloud.gateway.consumers import METHODS, Consumer, Denied, Presented, authenticate, presents

CONSUMER, SECRET = "X-Mse-Consumer", "X-Route-Secret"
BODY_LIMIT_BYTES = 32 * 1024 * 1024  # "Request Body Too Large" of hmac-auth
MODES = ("off", "optional", "required")
_MARKS = frozenset({CONSUMER.lower(), SECRET.lower()})


@dataclass(frozen=True, slots=True)
class Route:
    """The policies of the paths under `prefix`.

    Parameters
    ----------
    mode
        `required`: what the product does once authentication is on. `optional` is localcloud's own: who presents
        nothing passes without a mark. `off`: no authentication.
    methods
        The product takes one a route; several serve tests.
    allow
        Names of the consumers that are authorised; nobody unless named.
    secrets
        None, one, or two values of the header that the route adds. With two the requests carry them in turn, as the
        nodes of a gateway do while a change rolls out.
    date_offset_seconds
        How far the date of an HMAC signature may be off; 0 does not look.
    """

    name: str
    prefix: str
    mode: str = "required"
    methods: tuple[str, ...] = METHODS
    allow: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    date_offset_seconds: int = 0


class Policies:
    """Routes and consumers of one gateway, in memory."""

    def __init__(self, clock: Clock) -> None:
        self.consumers: dict[str, Consumer] = {}
        self.routes: dict[str, Route] = {}
        self._clock = clock
        self._turns: Iterator[int] = itertools.count()

    def route_of(self, path: str) -> Route | None:
        """The route with the longest prefix of the decoded path; prefixes end at a slash or at the path's end."""
        fitting = [route for route in self.routes.values() if _under(path, route.prefix)]
        return max(fitting, key=lambda route: len(route.prefix), default=None)

    async def admit(self, request: web.Request, headers: CIMultiDict[str]) -> bytes | None:
        """Check who calls and put the marks on `headers`, which are on their way to the function.

        Returns
        -------
        bytes | None
            The body, if it had to be read.

        Raises
        ------
        Denied
        """
        unmark(headers)
        route = self.route_of(request.path)
        if route is None:
            return None
        body: bytes | None = None
        if route.mode != "off":
            body = await self._authenticate(route, request, headers)
        if route.secrets:
            headers[SECRET] = route.secrets[next(self._turns) % len(route.secrets)]
        return body

    async def _authenticate(self, route: Route, request: web.Request, headers: CIMultiDict[str]) -> bytes | None:
        consumers = list(self.consumers.values())
        asked = Presented(request.method, request.raw_path, request.headers, request.query, b"")
        method = presents(asked, route.methods, consumers)
        body: bytes | None = None
        if not method:
            if route.mode == "optional":
                return None
            method = route.methods[0]  # whose words for "nothing was sent" are used
        elif method == "hmac" and request.body_exists:
            body = await _whole(request)
            asked = Presented(request.method, request.raw_path, request.headers, request.query, body)
        found = authenticate(asked, method, consumers, route.allow, self._clock, route.date_offset_seconds)
        headers[CONSUMER] = found.name
        return body


def unmark(headers: CIMultiDict[str]) -> None:
    """Take the gateway's marks out, also as spelled for servers that fold `_` into `-`."""
    for name in {name for name in headers if name.lower().replace("_", "-") in _MARKS}:
        headers.popall(name, None)


def denied(refusal: Denied) -> web.Response:
    """A refusal as the plug-ins answer it: one line of plain text."""
    return web.Response(status=refusal.status, text=refusal.text, headers=refusal.headers)


async def _whole(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Denied(413, "Request Body Too Large") from error


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/")
