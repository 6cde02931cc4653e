"""The application: routes, the service's headers, and a clean stop."""

from __future__ import annotations

from aiohttp import web

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines import Engine
from localcloud.faults import Faults
from localcloud.nls import flash, rest, websocket
from localcloud.nls.gateway import GATEWAY, Gateway
from localcloud.nls.quotas import Limits


def make_app(
    account: Account, engine: Engine, faults: Faults, clock: Clock, *, limits: Limits | None = None
) -> web.Application:
    """The speech service of one account: `/ws/v1`, `/stream/v1/tts`, `/stream/v1/asr`, `/stream/v1/FlashRecognizer`.

    Parameters
    ----------
    limits
        Quotas and timers; a commercial account's defaults when left out. Changeable later: `app[GATEWAY].limits`.
    """
    app = web.Application()
    app[GATEWAY] = Gateway(account, engine, faults, clock, limits or Limits())
    app.router.add_get("/ws/v1", websocket.handle, allow_head=False)
    app.router.add_get("/stream/v1/tts", rest.refusing(rest.tts), allow_head=False)
    app.router.add_post("/stream/v1/tts", rest.refusing(rest.tts))
    app.router.add_post("/stream/v1/asr", rest.refusing(rest.asr))
    app.router.add_post("/stream/v1/FlashRecognizer", rest.refusing(flash.flash))
    app.router.add_get("/stream/v1/FlashRecognizer", rest.refusing(flash.flash), allow_head=False)  # the Java sample's
    app.router.add_route("*", "/{path:.*}", rest.refusing(rest.no_such_path))
    app.on_response_prepare.append(_service_headers)
    app.on_shutdown.append(_close)
    return app


async def _service_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "Tengine"
    if response.status == 403:  # the handshake's refusal is recorded without a Content-Type
        response.headers.popall("Content-Type", None)


async def _close(app: web.Application) -> None:
    gateway = app[GATEWAY]
    gateway.closing.set()
    for socket in tuple(gateway.sockets):
        await socket.close(code=1001)
