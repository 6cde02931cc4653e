"""A deployment in memory: three buckets, one tenant, a decoder and a recogniser that do as they are told."""

from __future__ import annotations

import asyncio
import audioop
import base64
import hashlib
import json
import math
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from functions.transcripts.app import application, take
from functions.transcripts.job import Job, job_id
from functions.transcripts.job_records import fold
from functions.transcripts.notify import Webhooks
from functions.transcripts.pacing import Pace
from functions.transcripts.process import RENEW_SECONDS, FileQueue, Flash, Realtime, Spend, Transcripts
from isikit.audio import wav
from isikit.audio.probe import Decoded, Limits, Measured
from isikit.errors import AudioError, SpeechError
from isikit.host.context import Deadline
from isikit.identity import Doors
from isikit.limits import Limits as TenantLimits
from isikit.nls.filetrans import Failed, FileOrder, Finished, TaskAnswer, Unfinished
from isikit.nls.sentences import Sentence, Word
from isikit.objects import ObjectStore
from isikit.secrets import KeyRing
from isikit.tenants import Tenant, Tenants
from support.memory_store import MemoryStore, MovableClock, StoredObject, memory_stores

EVENTS = Path(__file__).parents[2] / "events"
BUCKET = "recordings"
RATE_HZ = 8000
CALLBACK_BASE = "https://speech.example.com"
KEYS = json.dumps({"version": 1, "master": base64.b64encode(bytes(range(32))).decode()}).encode()
SECRETS = {"acme": "key-acme.secret-of-acme-0123456789", "other": "key-other.secret-of-other-012345678"}


def speech(duration_ms: int, hertz: float = 440.0, rate_hz: int = RATE_HZ) -> bytes:
    """Something loud: mono s16le."""
    step = 2 * math.pi * hertz / rate_hz
    return array("h", (round(12000 * math.sin(step * n)) for n in range(rate_hz * duration_ms // 1000))).tobytes()


def silence(duration_ms: int, rate_hz: int = RATE_HZ) -> bytes:
    """Nothing: mono s16le."""
    return bytes(2 * (rate_hz * duration_ms // 1000))


def mono(pcm: bytes, rate_hz: int = RATE_HZ) -> bytes:
    """A WAV file of one channel."""
    return wav.write(pcm, rate_hz)


def stereo(left: bytes, right: bytes, rate_hz: int = RATE_HZ) -> bytes:
    """A WAV file of two channels of equal length."""
    samples = array("h", bytes(len(left) * 2))
    samples[0::2], samples[1::2] = array("h", left), array("h", right)
    return wav.write(samples.tobytes(), rate_hz, channels=2)


async def decode_wav(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
    """Stands in for the child process: reads our own WAV files, refuses what is not one."""
    if not data.startswith(b"RIFF"):
        raise AudioError(code="audio.unreadable")
    file = wav.read(data)
    samples = array("h", file.data)
    channels = [samples[at :: file.channels].tobytes() for at in range(file.channels)]
    duration_ms = round(len(channels[0]) / 2 * 1000 / file.rate_hz)
    if duration_ms > limits.max_seconds * 1000:
        raise AudioError(code="audio.too_long")
    return Decoded(channels, rate_hz or file.rate_hz, duration_ms, "wav", file.encoding, file.rate_hz)


async def measure_wav(data: bytes, limits: Limits) -> Measured:
    """The same for recordings that are too long to be held."""
    whole = await decode_wav(data, None, limits)
    levels = [audioop.rms(channel, 2) for channel in whole.channels]
    if len(levels) == 2:
        levels.append(audioop.rms(audioop.add(whole.channels[0], audioop.mul(whole.channels[1], 2, -1), 2), 2))
    first, second, difference = (*levels, 0, 0)[:3]
    return Measured(
        whole.duration_ms, len(whole.channels), (first, second, difference), "wav", whole.codec, whole.source_rate_hz
    )


async def unlimited(tenant: Tenant, seconds: int) -> None:
    """No quota."""


@dataclass
class Service:
    """The speech service's queue: remembers what was submitted, and ends tasks when it is told to."""

    orders: list[FileOrder] = field(default_factory=list)
    ends: dict[str, TaskAnswer] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    asked: int = 0

    async def submit(self, order: FileOrder, deadline: Deadline) -> str:
        if self.errors:
            raise self.errors.pop(0)
        self.orders.append(order)
        return f"task-{len(self.orders):04d}"

    async def result(self, task: str, deadline: Deadline) -> TaskAnswer:
        self.asked += 1
        return self.ends.get(task, Unfinished())

    def end(self, *texts: str, task: str = "") -> None:
        """End a task, or all that were submitted, with one sentence a text, on channels in turn."""
        sentences = tuple(
            Sentence(1000 * at, 1000 * at + 900, at % 2, text, (Word(1000 * at, 1000 * at + 900, text),))
            for at, text in enumerate(texts)
        )
        for name in [task] if task else [f"task-{at:04d}" for at in range(1, len(self.orders) + 1)]:
            self.ends[name] = Finished(sentences)

    def fail(self, code: str, *, retryable: bool = False, task: str = "task-0001") -> None:
        """End a task without a transcript."""
        error = SpeechError(code=code)
        error.retryable = retryable
        self.ends[task] = Failed(error)


@dataclass
class Recogniser:
    """Answers with `texts`, then with `text N` where N is the number of the call, and remembers what it was asked."""

    texts: list[str] = field(default_factory=list)
    calls: list[tuple[int, str]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, pcm: bytes, rate_hz: int, appkey: str, deadline: Deadline) -> str:
        self.calls.append((rate_hz, appkey))
        number = len(self.calls)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.before is not None:
                await self.before()
            if self.errors:
                raise self.errors.pop(0)
            return self.texts[number - 1] if number <= len(self.texts) else f"text {number}"
        finally:
            self.at_once -= 1


def event_of(
    key: str,
    etag: str,
    size: int,
    metadata: dict[str, str] | None = None,
    *,
    at: float | None = None,
    request_id: str | None = None,
) -> bytes:
    """The native event of one new object, with the time and request id of its upload, or those of the sample."""
    event = json.loads((EVENTS / "oss-put-without-metadata.json").read_text())
    if at is not None:
        event["events"][0]["eventTime"] = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    if request_id is not None:
        event["events"][0]["responseElements"] = {"requestId": request_id}
    described = event["events"][0]["oss"]["object"]
    described.update(key=key, eTag=etag, size=size)
    if metadata is not None:
        described["objectMeta"] = {"mimeType": "audio/wav", "userMeta": metadata}
    return json.dumps(event).encode()


class Scene:
    """Everything around the function, and deliveries to it."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        stores = memory_stores(self.clock)
        assert isinstance(stores.recordings, MemoryStore)
        assert isinstance(stores.state, MemoryStore)
        self.recordings, self.state = stores.recordings, stores.state
        self.recognise = Recogniser()
        self.service: Service | None = None
        self.service_of: Callable[[Service], Any] = lambda service: service
        self.flash: Flash | None = None
        self.realtime: Realtime | None = None
        self.webhooks: Webhooks | None = None
        self.spend: Spend = unlimited
        self.region = "cn-beijing"
        self.decode: Callable[[bytes, int | None, Limits], Awaitable[Decoded]] = decode_wav
        self.pause: Callable[[float], Awaitable[None]] = self.let_time_pass
        self.renewal: Callable[[], Awaitable[object]] = never
        self.places = 8
        self.uploads = 0
        self.left: list[bytes] | None = None  # events this function sends to itself, where it can
        self.asked_accounts: list[str] = []
        self.wrap: Callable[[ObjectStore], ObjectStore] = lambda store: store
        self.tenants(acme={8000: "narrow", 16000: "wide"}, other={8000: "narrow", 16000: "wide"})

    def tenants(self, sources: tuple[dict[str, Any], ...] = (), /, **appkeys: dict[int, str]) -> None:
        """Write the tenants file: AppKeys by rate, for each tenant, and the same rules for all."""
        entries = [
            {
                "id": name,
                "api_keys": [{"id": f"key-{name}", "sha256": hashlib.sha256(_secret(name).encode()).hexdigest()}],
                "sources": list(sources),
                "appkeys": [{"appkey": key, "locale": "zh-CN", "sample_rate_hz": rate} for rate, key in keys.items()],
            }
            for name, keys in appkeys.items()
        ]
        self._place(self.state, "config/tenants.json", json.dumps({"version": 1, "tenants": entries}).encode())

    def upload(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> bytes:
        """Put a recording; returns its event."""
        self._place(self.recordings, key, data, metadata)
        self.uploads += 1
        return event_of(
            key,
            etag_of(data),
            len(data),
            {f"x-oss-meta-{k}": v for k, v in (metadata or {}).items()},
            at=self.clock.now(),
            request_id=f"upload-{self.uploads}",
        )

    def with_queue(self) -> Service:
        """Let the deployment have the service's queue."""
        self._place(self.state, "config/keys.json", KEYS)
        self.service = Service()
        return self.service

    def _queue(self, state: ObjectStore) -> FileQueue | None:
        if self.service is None:
            return None
        return FileQueue(
            service=self._service_for,
            presign=lambda key, seconds: f"https://state.example.com/{key}?for={seconds}",
            keys=KeyRing(self.state),
            callback_base=CALLBACK_BASE,
        )

    def _service_for(self, role_arn: str) -> Any:
        assert self.service is not None
        self.asked_accounts.append(role_arn)
        return self.service_of(self.service)

    async def _leave(self, event: bytes) -> bool:
        if self.left is not None:
            self.left.append(event)
        return self.left is not None

    async def call_back(self, order: FileOrder, body: bytes = b"{}") -> httpx2.Response:
        """Call the address in an order, as the service does."""
        return await self.post(order.callback_url, body)

    async def post(self, url: str, body: bytes = b"{}") -> httpx2.Response:
        """Post to an address of a fresh instance."""
        process = self.process()
        transport = httpx2.ASGITransport(application(lambda: process))
        async with httpx2.AsyncClient(transport=transport) as client:
            return await client.post(url, content=body)

    async def tick(self, *, seconds: float = 60.0) -> dict[str, Any]:
        """The timer goes off."""
        event = b'{"triggerTime": "2026-11-22T20:00:00Z", "triggerName": "open-jobs", "payload": ""}'
        return await self.deliver(event, request_id="1-timer", seconds=seconds)

    def process(self) -> Transcripts:
        """A fresh instance of the function."""
        state = self.wrap(self.state)
        return Transcripts(
            recordings=self.wrap(self.recordings),
            state=state,
            recordings_bucket=BUCKET,
            state_bucket="state",
            doors=Doors(Tenants(self.state), KeyRing(self.state)),
            tenants=Tenants(self.state),
            limits=TenantLimits(self.state),
            pace=Pace(state),
            recognise=self.recognise,
            decode=self.decode,
            measure=measure_wav,
            queue=self._queue(state),
            flash=self.flash,
            realtime=self.realtime,
            webhooks=self.webhooks,
            spend=self.spend,
            region=self.region,
            speaking=asyncio.Semaphore(self.places),
            decoding=asyncio.Semaphore(1),
            clock=self.clock.now,
            leave=self._leave,
            pause=self._paused,
        )

    async def deliver(self, event: bytes, *, request_id: str = "1-request", seconds: float = 60.0) -> dict[str, Any]:
        """Deliver an event to a fresh instance."""
        return await take(event, request_id, Deadline.after(seconds + 10), self.process())

    async def _paused(self, seconds: float) -> None:
        """A claim is renewed when `renewal` comes back, and every other sleep is `pause`."""
        await (self.renewal() if seconds == RENEW_SECONDS else self.pause(seconds))

    async def let_time_pass(self, seconds: float) -> None:
        """Stands in for a sleep: OSS's clock moves, and the others have their turn."""
        self.clock.move(seconds)
        await asyncio.sleep(0)

    async def wait_a_turn(self, _: float) -> None:
        """Stands in for a sleep during which no time passes."""
        await asyncio.sleep(0)

    def job(self, key: str, data: bytes) -> Job:
        """The job of a recording, as its journal tells it."""
        job = fold(self.records(key, data))
        assert job is not None
        return job

    def records(self, key: str, data: bytes) -> list[dict[str, Any]]:
        """The job's journal."""
        return [json.loads(line) for line in self.state.objects[self.journal(key, data)].data.splitlines()]

    def journal(self, key: str, data: bytes) -> str:
        """The journal's key."""
        return f"jobs/{job_id(BUCKET, key, etag_of(data))}.jsonl"

    def types(self, key: str, data: bytes) -> list[str]:
        """The types of the journal's records."""
        return [record["type"] for record in self.records(key, data)]

    def read(self, key: str) -> str:
        """A text file in the recordings bucket."""
        return self.recordings.objects[key].data.decode()

    def keys(self, prefix: str) -> list[str]:
        """Keys below a prefix in either bucket."""
        return sorted(key for store in (self.recordings, self.state) for key in store.objects if key.startswith(prefix))

    @staticmethod
    def _place(store: MemoryStore, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """Write past the counters and faults of the store."""
        store.objects[key] = StoredObject(data, "application/octet-stream", metadata or {}, store.clock.now())


async def until(condition: Callable[[], bool]) -> None:
    """Let others have their turn until something is so."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


async def never() -> None:
    """Does not come back."""
    await asyncio.Event().wait()


def etag_of(data: bytes) -> str:
    """As OSS makes it of a plain upload."""
    return hashlib.md5(data).hexdigest().upper()


def _secret(tenant: str) -> str:
    return SECRETS[tenant].partition(".")[2]
