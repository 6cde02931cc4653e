"""`GET` and `HEAD` of a prompt's audio, for players: `/p/...` and `/e/...`.

Only 200, 206, 304, 4xx and 5xx are ever answered here. Players keep any 2xx body as audio (FreeSWITCH's
mod_http_cache), follow no redirects (Sinch), and throw their own good copy away after a failure (mod_httapi); so there
is no 202 and no redirect, and an error says `no-store, max-age=0`, because mod_http_cache heeds only the latter.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.prompts import conditional, kept
from functions.prompts.asking import ended
from functions.prompts.cache import Health
from functions.prompts.conditional import NotModified, Part, Representation, Unsatisfiable
from functions.prompts.ids import ID, ONCE
from functions.prompts.maker import DayOver, NotReady
from functions.prompts.prompt import Place, retention_of
from functions.prompts.remaking import remake
from functions.prompts.rendition import RENDITIONS, Rendition
from functions.prompts.revisions import Retired
from functions.prompts.service import Prompts
from functions.prompts.stored import Stored
from isikit import logs
from isikit.errors import IsiError, MethodNotAllowed, NotFound, RequestError, StorageError
from isikit.host import context
from isikit.host.responses import problem_response

WAIT_SECONDS: Final = 5.0
"""How long a GET waits for audio that is being made: longer, and callers hear a dead line."""

_NEVER_KEEP: Final = "no-store, max-age=0"
_FOREVER: Final = "public, max-age=31536000, immutable"
_DAYS_MAX_AGE: Final = 600
_PATH: Final = re.compile(rf"/(p|e)/([a-z0-9-]{{2,32}})/({ID.pattern}|{ONCE.pattern})/([a-z0-9_.-]{{1,40}})")


class OutOfRange(RequestError):
    """Not one byte of the range that was asked for exists."""

    code = "request.range"
    status = 416
    title = "The range lies outside of the audio"
    advice = "Ask for bytes that exist; Content-Range says how many there are."

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


@dataclass(frozen=True, slots=True)
class Audio:
    """The ASGI endpoint of a path that answers audio.

    Parameters
    ----------
    prompts
        The instance's collaborators.
    answer
        Finds the audio for a GET or a HEAD.
    """

    prompts: Callable[[], Prompts]
    answer: Callable[[Prompts, Request], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            if request.method not in ("GET", "HEAD"):
                raise MethodNotAllowed
            answer = await self.answer(self.prompts(), request)
        except IsiError as error:
            level, subject = "warning" if error.status >= 500 else "info", _subject(request.scope["path"])
            logs.failure("audio.refused", error, level=level, **subject)
            answer = problem_response(error)
            answer.headers["Cache-Control"] = _NEVER_KEEP
            if isinstance(error, MethodNotAllowed):
                answer.headers["Allow"] = "GET, HEAD"
            if isinstance(error, OutOfRange):
                answer.headers["Content-Range"] = f"bytes */{error.size}"
        await answer(scope, receive, send)


def _subject(path: str) -> dict[str, str]:
    """What a path names, for the log: who hears of a dead line has the URL and no request id."""
    match = _PATH.fullmatch(path)
    return {"prompt_id": match[3], "rendition": match[4].partition(".")[0]} if match else {}


async def play(prompts: Prompts, request: Request) -> Response:
    """The audio that a path names, made again from its recipe where it is missing.

    Raises
    ------
    NotFound
        There is nothing of that name.
    Gone
        It was retired, or its day is over.
    NotReady
        It is being made, or would have to be and may not.
    OutOfRange
        Not one byte of what was asked for exists.
    """
    place, rendition = _named(request.scope["path"])
    key = place.rendition_key(rendition)
    look = await (prompts.cache.audio(key) if request.method == "GET" else prompts.cache.find(key))
    if look.intact is not None:
        return respond(request.method, request.headers, look.intact, rendition)
    if look.stored is not None:
        raise DayOver
    if look.health is Health.DAMAGED and place.retention == "permanent" and request.method == "GET":
        await _mendable(prompts, place)
    try:
        found = await _remade(prompts, place, rendition, may_speak=request.method == "GET")
    except NotFound:
        if look.health is Health.DAMAGED:
            await prompts.cache.delete(key)  # nothing can mend it: the next POST must not take it for a hit
        raise
    return respond(request.method, request.headers, found, rendition)


async def _mendable(prompts: Prompts, place: Place) -> None:
    """Retire a prompt whose master is gone too: spoken anew it would be other bytes, under a URL that says immutable.

    Raises
    ------
    Retired
        The next request for it gets another id and URL.
    """
    if (await prompts.cache.master(place.master_key)).intact is None and await prompts.recipes.exists(place):
        await kept.retire(prompts, place.tenant_id, place.slot)
        raise Retired


def _named(path: str) -> tuple[Place, Rendition]:
    """What a path names. Nothing tells whether tenant, id or rendition was wrong."""
    match = _PATH.fullmatch(path)
    retention = retention_of(match[1]) if match else None
    rendition = RENDITIONS.get(match[4]) if match else None
    if match is None or retention is None or rendition is None or (retention == "permanent" and "/" in match[3]):
        raise NotFound
    return Place(match[2], retention, match[3]), rendition


async def _remade(prompts: Prompts, place: Place, rendition: Rendition, *, may_speak: bool) -> Stored:
    """Audio that is missing or damaged, made again within five seconds; what takes longer is left for later."""
    deadline = context.current().deadline
    context.update(tenant_id=place.tenant_id)
    work = asyncio.ensure_future(remake(prompts, place, rendition, deadline, may_speak=may_speak))
    try:
        await asyncio.wait((work,), timeout=deadline.sooner(WAIT_SECONDS).remaining())
        if work.done():
            return work.result().stored
    finally:
        await ended(work)
    await prompts.later.make(place, rendition)
    raise NotReady


def respond(
    method: str, headers: Headers, stored: Stored, rendition: Rendition, *, life_seconds: float = float("inf")
) -> Response:
    """The answer with audio, whole or in part, or 304.

    Parameters
    ----------
    life_seconds
        How long its URL is good, where that is shorter than the audio is.

    Raises
    ------
    OutOfRange
        Not one byte of what was asked for exists.
    """
    has = Representation(stored.size, f'"{stored.etag}"', stored.last_modified)
    common = {
        "ETag": has.etag,
        "Last-Modified": has.http_date,
        "Cache-Control": _cache_control(min(stored.life_seconds, life_seconds)),
        "Accept-Ranges": "bytes",
    }
    decision = conditional.decide(method, headers, has)
    if isinstance(decision, NotModified):
        return Response(status_code=304, headers=common)
    if isinstance(decision, Unsatisfiable):
        raise OutOfRange(has.size)
    if method == "GET" and stored.body is None:
        raise StorageError("The audio was found without its bytes.", code="oss.damaged")
    body = stored.body or b""
    if isinstance(decision, Part):
        common["Content-Range"] = f"bytes {decision.start}-{decision.end}/{has.size}"
        return Response(body[decision.start : decision.end + 1], 206, common, rendition.content_type)
    common["Content-Length"] = str(has.size)
    return Response(body if method == "GET" else b"", 200, common, rendition.content_type)


def _cache_control(life_seconds: float) -> str:
    return _FOREVER if life_seconds == float("inf") else f"private, max-age={min(_DAYS_MAX_AGE, int(life_seconds))}"
