"""Instances of the prompts function on stores in memory, and a speaker whose audio tells what was said."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from functions.prompts.app import routes
from functions.prompts.later import Later, Make
from functions.prompts.prompt import Place
from functions.prompts.remaking import carry_out
from functions.prompts.rendition import Rendition
from functions.prompts.service import Prompts, assemble
from functions.prompts.synthesis import Synthesis
from isikit.config import Settings
from isikit.credentials import Credentials
from isikit.host import make_app
from isikit.host.context import Deadline
from isikit.limits import Limits, Rate
from isikit.limits.admission import DEFAULT_RATES
from isikit.nls.synthesis import Pcm, Speaker, Utterance
from isikit.nls.token import SpeechToken, TokenFetcher, TokenSource
from isikit.objects import Stores
from isikit.secrets import KeyRing
from isikit.tenants import Tenants
from support.canary import CANARY
from support.memory_store import MemoryStore, MovableClock, StoredObject, memory_stores
from support.outward import Outward, OutwardLater, OutwardSpeaker, OutwardTokens

BASE_URL = "https://prompts.example.com"
API_KEY = "k-one.0123456789abcdef0123456789abcdef"
OTHER_KEY = "k-two.fedcba9876543210fedcba9876543210"


def tenant_entry(tenant_id: str, api_key: str, **changes: Any) -> dict[str, Any]:
    """One entry of tenants.json."""
    key_id, _, secret = api_key.partition(".")
    return {
        "id": tenant_id,
        "api_keys": [{"id": key_id, "sha256": hashlib.sha256(secret.encode()).hexdigest()}],
        "appkeys": [
            {"appkey": "zhkey", "locale": "zh-CN", "sample_rate_hz": 16000},
            {"appkey": "enkey", "locale": "en-US", "sample_rate_hz": 16000},
        ],
        "default_voice": {"zh-CN": "xiaoyun", "en-US": "xiaoyun"},
        "default_locale": "zh-CN",
        "retention": "permanent",
        **changes,
    }


@dataclass
class FakeSpeaker:
    """Speaks a tone that depends on what is said and on how often it was said: two syntheses never agree in bytes.

    Attributes
    ----------
    said
        Every utterance that was asked for.
    tokens
        The token of each.
    error
        Raised instead of speaking, while it is set.
    gate
        Awaited before speaking, while it is set.
    """

    said: list[Utterance] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list, repr=False)
    error: Callable[[], Exception] | None = None
    gate: asyncio.Event | None = None
    at_once: int = 0
    most_at_once: int = 0
    pcm: Callable[[Utterance, int], bytes] | None = None
    _asked: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def began(self, count: int) -> None:
        """Wait until it was asked for `count` utterances."""
        async with self._asked:
            await self._asked.wait_for(lambda: len(self.said) >= count)

    async def speak(self, utterance: Utterance, token: SpeechToken, deadline: Deadline) -> Pcm:
        """See `Speaker.speak`."""
        self.said.append(utterance)
        self.tokens.append(token.id)
        CANARY.text(utterance.text)
        take = len(self.said)
        async with self._asked:
            self._asked.notify_all()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            if self.error is not None:
                raise self.error()
            samples = (self.pcm or tone)(utterance, take)
            return Pcm(samples, utterance.sample_rate_hz)
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        """See `Speaker.close`."""


def tone(utterance: Utterance, take: int) -> bytes:
    """20 ms a character, of a wave that its text and take decide."""
    digest = hashlib.sha256(f"{utterance}{utterance.text}{take}".encode()).digest()
    wave = array("h", ((byte - 128) * 100 for byte in digest)).tobytes()
    wanted = 2 * utterance.sample_rate_hz * 20 * len(utterance.text) // 1000
    return (wave * (wanted // len(wave) + 1))[:wanted]


@dataclass
class FakeTokens:
    """Tokens that never end."""

    id: str = "token"

    async def fetch(self, deadline: Deadline) -> SpeechToken:
        """See `TokenFetcher.fetch`."""
        return SpeechToken(self.id, deadline.at + 86_400)


@dataclass
class FakeLater:
    """Takes down what is left for later; `carried_out` does it."""

    asked: list[tuple[Place, Rendition, float | None]] = field(default_factory=list)
    works: bool = True

    async def make(self, place: Place, rendition: Rendition, older_than: float | None = None) -> bool:
        """See `Later.make`."""
        self.asked.append((place, rendition, older_than))
        return self.works

    async def carried_out(self, prompts: Prompts, seconds: float = 10) -> list[bool]:
        """Do all that was left, as the event's handler does."""
        asked, self.asked = self.asked, []
        return [
            await carry_out(
                prompts,
                Make(place.tenant_id, place.slot, place.retention, rendition.filename, older_than),
                Deadline.after(seconds),
            )
            for place, rendition, older_than in asked
        ]


@dataclass(frozen=True)
class Answer:
    """What a client gets."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return msgspec.json.decode(self.body)


@dataclass
class Instance:
    """One instance of the function, asked over ASGI."""

    prompts: Prompts
    app: Any

    async def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"", key: str = API_KEY
    ) -> Answer:
        """One request. Header names of the answer are in lower case."""
        sent: list[dict[str, Any]] = []
        requests = [{"type": "http.request", "body": body, "more_body": False}]
        CANARY.secret("API key", key.partition(".")[2])
        CANARY.body(body)

        async def receive() -> dict[str, Any]:
            if requests:
                return requests.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        given = {"x-api-key": key, **(headers or {})} if key else headers or {}
        path, _, query = path.removeprefix(BASE_URL).partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "server": ("prompts.example.com", 443),
            "client": ("192.0.2.1", 1),
        }
        await self.app(scope, receive, send)
        got = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], got, b"".join(message.get("body", b"") for message in sent[1:]))

    async def post(self, body: Any = None, *, headers: dict[str, str] | None = None, key: str = API_KEY) -> Answer:
        """`POST /v1/prompts`."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.call("POST", "/v1/prompts", body=raw, headers=headers, key=key)

    async def get(self, url: str, **headers: str) -> Answer:
        """GET of audio; underscores in the names of headers are dashes."""
        return await self.call("GET", url, headers={n.replace("_", "-"): v for n, v in headers.items()}, key="")

    async def head(self, url: str, **headers: str) -> Answer:
        """HEAD of audio."""
        return await self.call("HEAD", url, headers={n.replace("_", "-"): v for n, v in headers.items()}, key="")


@dataclass
class World:
    """The buckets, the speech service, and as many instances as a test wants."""

    clock: MovableClock = field(default_factory=MovableClock)
    wall: MovableClock = field(default_factory=MovableClock)
    speaker: FakeSpeaker = field(default_factory=FakeSpeaker)
    later: FakeLater = field(default_factory=FakeLater)
    tokens_from: TokenFetcher | None = None
    concurrency: int = 8
    stores: Stores = field(init=False)

    def __post_init__(self) -> None:
        self.stores = memory_stores(self.clock)
        self.tenants([tenant_entry("acme", API_KEY), tenant_entry("other", OTHER_KEY)])
        master = b64encode(bytes(range(32))).decode()
        self._config("config/keys.json", {"version": 1, "master": master})

    @property
    def bucket(self) -> MemoryStore:
        """Of prompts."""
        return cast(MemoryStore, self.stores.prompts)

    @property
    def state(self) -> MemoryStore:
        """The state bucket."""
        return cast(MemoryStore, self.stores.state)

    def tenants(self, entries: Sequence[dict[str, Any]]) -> None:
        """Write tenants.json."""
        self._config("config/tenants.json", {"version": 1, "tenants": entries})

    def instance(self, outward: Outward | None = None, speaker: Speaker | None = None) -> Instance:
        """A new instance on the same buckets, with the same speech service.

        Parameters
        ----------
        outward
            What counts, and strikes, its calls.
        speaker
            Speaks instead of `self.speaker`.
        """
        outward = outward or Outward()
        own, other = (
            TokenSource(cast(Settings, None), cast(Credentials, None), fetcher=OutwardTokens(fetcher, outward))
            for fetcher in (self.tokens_from or FakeTokens(), FakeTokens("token of another account"))
        )
        accounts = SimpleNamespace(for_tenant=lambda tenant: other if tenant.role_arn else own)
        stores = outward.stores(self.stores)
        rates = {**DEFAULT_RATES, "prompts": Rate(100_000, 1)}
        limits = Limits(stores.state, defaults=rates, clock=self.wall.now)
        prompts = assemble(
            base_url=BASE_URL,
            stores=stores,
            tenants=Tenants(stores.state, clock=self.wall.now),
            keys=KeyRing(stores.state, clock=self.wall.now),
            synthesis=Synthesis(
                OutwardSpeaker(speaker or self.speaker, outward), accounts, self.concurrency, limits, self.wall.now
            ),
            later=cast(Later, OutwardLater(self.later, outward)),
            owner=f"instance-{id(object())}",
            limits=limits,
            clock=self.wall.now,
        )
        return Instance(prompts, make_app(routes(lambda: prompts)))

    def pass_time(self, seconds: float) -> None:
        """Move OSS's clock and the instances' alike."""
        self.clock.move(seconds)
        self.wall.move(seconds)

    def _config(self, key: str, content: Any) -> None:
        data = msgspec.json.encode(content)
        self.state.objects[key] = StoredObject(data, "application/json", {}, self.clock.now())
