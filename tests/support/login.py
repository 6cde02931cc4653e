"""An issuer of tokens on loopback, whose key set deployed functions fetch (`ISI_JWKS_LOOPBACK`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from support.canary import CANARY
from support.issuer import key_set, token
from support.serving import served

ISSUER, AUDIENCE = "https://login.example.com", "speech"
SILENT_ISSUER = "https://silent.example.com"


class Login:
    """The issuer, and how often its key set was asked for."""

    def __init__(self) -> None:
        self.address = ""
        self.asked = 0
        self._lock = threading.Lock()

    @property
    def doors(self) -> list[dict[str, str]]:
        """What the tenants file lists: this issuer, and one whose key set cannot be had."""
        return [
            {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"http://{self.address}/keys"},
            {"issuer": SILENT_ISSUER, "audience": AUDIENCE, "jwks_url": f"http://{self.address}/nothing-here"},
        ]

    def token(self, *, kind: str = "RS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A right token of now, but for what is said; remembered as what no log may hold."""
        made = token(time.time(), kind=kind, headers=headers, **{"iss": ISSUER, "aud": AUDIENCE, **claims})
        CANARY.secret("signed token", made)
        return made

    def app(self) -> web.Application:
        """Its web server."""

        async def keys(_: web.Request) -> web.Response:
            with self._lock:
                self.asked += 1
            return web.Response(body=key_set(), content_type="application/json")

        app = web.Application()
        app.router.add_get("/keys", keys)
        return app


@contextmanager
def issuing() -> Iterator[Login]:
    """Serve it."""
    login = Login()
    with served(login.app) as address:
        login.address = address
        yield login
