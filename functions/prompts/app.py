"""The prompts function: its routes, and the event it sends to itself."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.prompts import kept, saying, voices
from functions.prompts.later import Event
from functions.prompts.openapi import DOCUMENT
from functions.prompts.playing import Audio, play
from functions.prompts.posting import NOT_STORED, post, url_or_json
from functions.prompts.purging import purge
from functions.prompts.remaking import carry_out
from functions.prompts.request import parse_purge, parse_say
from functions.prompts.service import Prompts, instance
from isikit import limits
from isikit.errors import RequestError
from isikit.host import EventContext, json_response, make_app, read_json
from isikit.host import context as request_context
from isikit.tenants import Tenant


def routes(prompts: Callable[[], Prompts]) -> list[Route]:
    """The routes of an instance.

    Parameters
    ----------
    prompts
        Gives the instance's collaborators; not called before the first request.
    """

    async def caller(request: Request) -> Tenant:
        tenant = (await prompts().doors.identify(request.headers, request.scope)).tenant
        await prompts().limits.admit(tenant, "prompts")
        return tenant

    async def post_prompt(request: Request) -> Response:
        return await post(prompts(), await caller(request), request)

    async def get_prompt(request: Request) -> Response:
        tenant = await caller(request)
        shown = await kept.show(prompts(), tenant.id, request.path_params["prompt_id"])
        return json_response(shown, headers=NOT_STORED)

    async def delete_prompt(request: Request) -> Response:
        tenant = await caller(request)
        await kept.delete(prompts(), tenant.id, request.path_params["prompt_id"])
        return Response(status_code=204, headers=NOT_STORED)

    async def retire_prompt(request: Request) -> Response:
        tenant = await caller(request)
        retired = await kept.retire(prompts(), tenant.id, request.path_params["prompt_id"])
        return json_response(retired, headers=NOT_STORED)

    async def post_purge(request: Request) -> Response:
        tenant = await caller(request)
        page = await purge(prompts(), tenant.id, parse_purge(await read_json(request)))
        return json_response(page, headers=NOT_STORED)

    async def post_say(request: Request) -> Response:
        tenant = await caller(request)
        wish, life_seconds = parse_say(await read_json(request), tenant)
        request_context.update(call_id=wish.call_id)
        return url_or_json(request, await saying.seal(prompts(), tenant, wish, life_seconds), 200)

    async def get_voices(request: Request) -> Response:
        return json_response(voices.listing(await caller(request)), headers=NOT_STORED)

    async def get_openapi(_: Request) -> Response:
        return json_response(DOCUMENT)

    audio = Audio(prompts, play)
    return [
        Route("/v1/prompts", post_prompt, methods=["POST"]),
        Route("/v1/prompts/purge", post_purge, methods=["POST"]),
        Route("/v1/prompts/{prompt_id}", get_prompt, methods=["GET"]),
        Route("/v1/prompts/{prompt_id}", delete_prompt, methods=["DELETE"]),
        Route("/v1/prompts/{prompt_id}/retire", retire_prompt, methods=["POST"]),
        Route("/v1/say", post_say, methods=["POST"]),
        Route("/v1/say/{sealed}", Audio(prompts, saying.say)),
        Route("/v1/voices", get_voices, methods=["GET"]),
        Route("/p/{path:path}", audio),
        Route("/e/{path:path}", audio),
        Route("/openapi.json", get_openapi, methods=["GET"]),
    ]


async def handler(event: bytes, context: EventContext) -> dict[str, bool]:
    """`{"make": ...}`: a rendition that nobody waited for is made from its recipe. Repeating it does no harm.

    Raises
    ------
    RequestError
        Any other event.
    """
    try:
        make = msgspec.json.decode(event, type=Event).make
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RequestError("This function takes only events that it sent to itself.") from None
    return {"made": await carry_out(instance(), make, context.deadline)}


def initialize() -> None:
    """Function Compute's initializer: import now what the first request would wait for (300 ms)."""
    import av  # noqa: F401
    import oss2  # noqa: F401

    limits.warm_up()


async def pre_stop() -> None:
    """Function Compute's last call: give unspent parts of the day's quotas back."""
    if instance.is_made:
        await instance().limits.hand_in()


app = make_app(routes(instance))
