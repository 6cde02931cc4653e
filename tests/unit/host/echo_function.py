"""A tiny function module that the tests of the host serve: it tells what it was given."""

from __future__ import annotations

import asyncio
import threading

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from isikit import credentials
from isikit.errors import SpeechBusy
from isikit.host import EventContext, context, json_response, make_app, read_json

state = {"initialized": 0, "in_a_thread": False, "remaining": 0.0}


async def echo(request: Request) -> Response:
    """The scope as the application sees it, and the credentials that are current."""
    return json_response(
        {
            "path": request.url.path,
            "headers": sorted(request.headers.keys()),
            "scope": str({name: value for name, value in request.scope.items() if name != "app"}),
            "request_id": context.current().request_id,
            "remaining": context.current().deadline.remaining(),
            "key_is_current": credentials.provider.current().access_key_id,
            "initializer": state,
            "body": await read_json(request) if request.method == "POST" else None,
        }
    )


async def fail(request: Request) -> Response:
    """Fail in a way nobody foresaw, with a text in the message."""
    raise RuntimeError("secret text")


async def hold(request: Request) -> Response:
    """Take the time that the query says."""
    await asyncio.sleep(float(request.query_params["seconds"]))
    return PlainTextResponse("done")


async def large(request: Request) -> Response:
    """More than any buffer on the way takes."""
    return Response(bytes(64_000_000), media_type="audio/wav")


app = make_app(
    [
        Route("/large", large),
        Route("/invoke", echo, methods=["GET", "POST"]),
        Route("/echo/{name}", echo, methods=["GET", "POST"]),
        Route("/fail", fail),
        Route("/hold", hold),
    ]
)


def initialize() -> None:
    """Count how often, and note where it runs and how long it may."""
    state["initialized"] += 1
    state["in_a_thread"] = threading.current_thread() is not threading.main_thread()
    state["remaining"] = context.current().deadline.remaining()


async def pre_stop() -> None:
    """Fail, so that a failing hook is seen too."""
    raise RuntimeError("secret text")


def handler(event: bytes, context: EventContext) -> object:
    """Answer by what the event says."""
    if event == b"fail":
        raise RuntimeError("secret text")
    if event == b"busy":
        raise SpeechBusy("Wait.")
    if event == b"bytes":
        return b"\x00\x01"
    if event == b"text":
        return "文"
    return {
        "event": event.decode(),
        "request_id": context.request_id,
        "function_name": context.function_name,
        "region": context.region,
        "account_id": context.account_id,
        "retry_count": context.retry_count,
        "remaining": context.deadline.remaining(),
        "initialized": state["initialized"],
        "key_is_current": credentials.provider.current().access_key_id,
    }
