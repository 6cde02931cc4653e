"""The traditional API Gateway: applications sign, the gateway invokes a function with an event of its own form.

Off sale since 2026-08 and still running, so it is here as a small legacy part. A group of APIs listens on a port of its
own, as it has a domain of its own in the product. Sources: "Request signature instructions", "Error codes" (VPC
instances), "Use Function Compute as the backend service", and Function Compute's page on the API Gateway trigger.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from localcloud.clock import Clock
from localcloud.fc.errors import FcError
from localcloud.fc.invoke import Outcome
from localcloud.gateway import signing
from localcloud.gateway.event import Api, Caller, Match, event_of
from localcloud.gateway.mapping import BadAnswer, response_of

WINDOW_SECONDS = 15 * 60
BODY_LIMIT_BYTES = 32 * 1024 * 1024
STAGES = ("RELEASE", "PRE", "TEST")

Invoke = Callable[[str, str, bytes], Awaitable[Outcome]]


class CaError(Exception):
    """A refusal by the gateway: its code holds the status (`A403IS` is 403)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class App:
    """An application that signs. `app_id` is what functions learn of it."""

    app_id: str
    key: str
    secret: str = field(repr=False)


class Group:
    """APIs behind one address, the applications, and the nonces they have used.

    Signatures are judged by the unmoved clock, as everywhere in localcloud: clients cannot follow a moved one.
    """

    def __init__(self, apps: tuple[App, ...], apis: tuple[Api, ...], invoke: Invoke, clock: Clock) -> None:
        self._apps = {app.key: app for app in apps}
        self._apis = apis
        self._invoke = invoke
        self._clock = clock
        self._nonces: dict[tuple[str, str], float] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call; every answer carries `X-Ca-Request-Id`, every refusal `X-Ca-Error-Code` and `-Message`."""
        request_id = str(uuid.uuid4()).upper()
        try:
            response = await self._answer(request, request_id)
        except CaError as error:
            told = {"X-Ca-Error-Code": error.code, "X-Ca-Error-Message": signing.on_one_line(error.message)}
            response = web.Response(status=int(error.code[1:4]), headers=told)
        response.headers["X-Ca-Request-Id"] = request_id
        return response

    async def _answer(self, request: web.Request, request_id: str) -> web.Response:
        stage = request.headers.get("X-Ca-Stage", "RELEASE").upper()
        if stage not in STAGES:
            raise CaError("I400SG", "Invalid Stage")
        api, found = self._find(request, stage)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise CaError("I413RL", "Request body too Large") from error
        app_id = self._authenticate(request, body, api) if api.authentication == "app" else "null"
        caller = Caller(app_id, request_id, request.remote or "", stage)
        event = event_of(api, found, request, body, caller)
        try:
            outcome = await asyncio.wait_for(self._invoke(api.function, api.qualifier, event), api.timeout_ms / 1000)
        except TimeoutError as error:
            raise CaError("D504TO", "Backend service request timeout") from error
        except FcError as error:
            raise CaError("D502FC", f"Bad response from Function Compute: {error.code}") from error
        if outcome.error_type:
            raise CaError("D502FC", f"Bad response from Function Compute: {outcome.error_type}")
        try:
            return response_of(outcome.body)
        except BadAnswer as error:
            raise CaError("D502FC", f"Bad response from Function Compute: {error}") from error

    def _find(self, request: web.Request, stage: str) -> tuple[Api, Match]:
        for api in self._apis:
            found = api.match(request.method, request.path)
            if found is not None and stage in api.stages:
                return api, found
        raise CaError("I404NF", f"API not found with path `{request.path}` method `{request.method}` stage `{stage}`")

    def _authenticate(self, request: web.Request, body: bytes, api: Api) -> str:
        headers = request.headers
        if "X-Ca-Key" not in headers:
            raise CaError("A400MA", "Need authorization, `X-Ca-Key` is required")
        app = self._apps.get(headers["X-Ca-Key"])
        if app is None:
            raise CaError("A400IK", "Invalid AppKey")
        if not headers.get("X-Ca-Signature"):
            raise CaError("I400MH", "Header `X-Ca-Signature` is Required")
        if headers.get("X-Ca-Signature-Method", "HmacSHA256") not in ("HmacSHA256", "HmacSHA1"):
            raise CaError("I400HD", "Invalid Header `X-Ca-Signature-Method`")
        if not signing.is_form(headers) and signing.md5_differs(headers, body):
            raise CaError("I400HD", "Invalid Header `Content-MD5` does not match the body")
        text = signing.string_to_sign(request.method, request.raw_path, headers, body, fold=False)
        if not signing.verifies(app.secret, text, headers):
            raise CaError("A403IS", f"Invalid Signature, Server StringToSign:`{text}`")
        self._refuse_replays(app, headers.get("X-Ca-Timestamp"), headers.get("X-Ca-Nonce"))
        if app.key not in api.apps:
            raise CaError("I403AA", "Unauthorized")
        return app.app_id

    def _refuse_replays(self, app: App, timestamp: str | None, nonce: str | None) -> None:
        """A timestamp is good for 15 minutes, a nonce once within them; both are optional in the product."""
        now = self._clock.client_now()
        if timestamp is not None:
            if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 16):
                raise CaError("I400HD", "Invalid Header `X-Ca-Timestamp` is not in milliseconds")
            if abs(int(timestamp) / 1000 - now) > WINDOW_SECONDS:
                raise CaError("I400HD", "Invalid Header `X-Ca-Timestamp` is more than 15 minutes off")
        if nonce is None:
            return
        now_monotonic = time.monotonic()
        self._nonces = {used: until for used, until in self._nonces.items() if until > now_monotonic}
        if (app.key, nonce) in self._nonces:
            raise CaError("I400HD", "Invalid Header `X-Ca-Nonce` was used before")
        self._nonces[app.key, nonce] = now_monotonic + WINDOW_SECONDS
