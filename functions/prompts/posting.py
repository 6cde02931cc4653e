"""`POST /v1/prompts` over HTTP: from the bytes of a request to those of the answer."""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from functions.prompts.asking import Answer, ask
from functions.prompts.hot import Hit
from functions.prompts.request import Wish, parse
from functions.prompts.service import Prompts
from isikit import logs
from isikit.host import context, json_response, parse_json, read_body
from isikit.tenants import Tenant

NOT_STORED: Final = {"Cache-Control": "no-store"}


async def post(prompts: Prompts, tenant: Tenant, request: Request) -> Response:
    """Answer one request: at once where its bytes are known and the audio is warm, else by all that it takes."""
    begun_at = monotonic()
    body = await read_body(request)
    hit = await prompts.hot.find(tenant, body)
    if hit is not None:
        if hit.call_id:
            context.update(call_id=hit.call_id)
        answer: Response = _Ready(hit, wants_text(request))
        line = hit.line
    else:
        wish = parse(parse_json(body), tenant)
        context.update(call_id=wish.call_id)
        given = await ask(prompts, tenant, wish)
        await _remember(prompts, tenant, wish, body, given)
        status = 202 if given.status == "pending" else 200
        answer, line = url_or_json(request, given.as_dict(), status), given.line()
    logs.event("prompt.served", **line, duration_ms=round((monotonic() - begun_at) * 1000, 2))
    return answer


async def _remember(prompts: Prompts, tenant: Tenant, wish: Wish, body: bytes, given: Answer) -> None:
    """Keep what the same request will come to again: a hit in the voice that was asked for."""
    stored, prompt = given.stored, given.wish.prompt
    if stored is None or given.how != "hit" or given.status != "ready" or prompt.voice != wish.prompt.voice:
        return
    keys = await prompts.keys.current()
    if prompt.id(keys, tenant.id) != given.id:
        return  # the keys changed while it was answered
    hit = Hit(
        tenant=tenant,
        voice=prompt.voice,
        key=stored.key,
        etag=stored.etag,
        expires_at=stored.expires_at,
        url=given.url,
        call_id=wish.call_id,
        body=msgspec.json.encode(given.as_dict()),
        line=given.line(),
    )
    prompts.hot.keep(body, hit, keys)


class _Ready(Response):
    """The answer to a hit, its headers written already."""

    def __init__(self, hit: Hit, as_text: bool) -> None:
        self.body = hit.url.encode() if as_text else hit.body
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"text/plain; charset=utf-8" if as_text else b"application/json"),
        ]


def url_or_json(request: Request, answer: dict[str, Any], status: int) -> Response:
    """The answer in JSON, or its URL alone for who prefers that."""
    if wants_text(request):
        return Response(answer["url"], status, NOT_STORED, "text/plain")
    return json_response(answer, status, NOT_STORED)


def wants_text(request: Request) -> bool:
    """Whether the caller prefers text/plain to JSON: a dialplan that cannot read JSON asks for the URL alone."""
    accept = request.headers.get("accept", "").lower()
    if "text/plain" not in accept:
        return False
    weights = {"text/plain": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        if kind in weights:
            weights[kind] = float(weight) if weight.replace(".", "", 1).isdecimal() else 0.0
    return weights["text/plain"] > weights["application/json"]
