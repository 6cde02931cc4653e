"""The bare endpoint that functions are measured against: Starlette under uvicorn, uvloop and httptools, no more.

`python -m ops.bench.bare ANSWER` reads a request's JSON and answers the bytes of the file ANSWER.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """Serve on the port that the platform would name."""
    content = Path(sys.argv[1]).read_bytes()

    async def answer(request: Request) -> Response:
        if request.headers.get("content-length", "0") != "0":
            await request.json()
        return Response(content, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    port = int(os.environ["FC_CUSTOM_LISTEN_PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", lifespan="off", log_config=None,
                access_log=False)  # fmt: skip


if __name__ == "__main__":
    main()
