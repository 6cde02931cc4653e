"""The log service. Not built: functions' lines are in `out/logs`, and every call is refused in SLS's error shape."""

from __future__ import annotations

import secrets

from aiohttp import web

from localcloud.faults import Faults


def make_app(faults: Faults) -> web.Application:
    """Answer every request with 501 and a clear error."""

    async def refuse(request: web.Request) -> web.Response:
        faults.begin("sls.refused")
        body = {
            "errorCode": "NotImplemented",
            "errorMessage": f"localcloud does not implement the log service ({request.method} {request.path}); "
            "what functions print is in out/logs/{functionName}.jsonl",
        }
        return web.json_response(body, status=501, headers={"x-log-requestid": secrets.token_hex(12).upper()})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    return app
