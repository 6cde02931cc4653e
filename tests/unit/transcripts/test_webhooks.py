"""The tenant's webhook is told of every outcome, at least once, whatever its receiver and our own processes do."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from functions.transcripts.notify import PAUSES_SECONDS, TRY_SECONDS, Webhooks, poster, signed
from functions.transcripts.sweep import Mark
from isikit.errors import IsiError
from isikit.public_http import FetchError
from isikit.secrets import KeyRing
from support.receiver import Receiver, receiving
from unit.transcripts.scene import BUCKET, KEYS, SECRETS, Scene, etag_of, mono, speech
from unit.transcripts.tripwire import Killed, Kind, Tripwire, When

KEY = "in/acme/call 1.wav"
CALL = mono(speech(1000))
SECRET = "whsec_" + "c2VjcmV0IG9mIGFjbWUncyB3ZWJob29rLCAzMiBieXRlcw=="
CLIENT = Path(__file__).parents[3] / "docs" / "clients" / "python" / "webhook.py"


def reference_client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webhook_client", CLIENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = reference_client()


def prepare(scene: Scene, url: str, secrets: Mapping[str, str] | None = None) -> None:
    """Give acme a webhook and its secret."""
    digest = hashlib.sha256(SECRETS["acme"].partition(".")[2].encode()).hexdigest()
    tenant = {
        "id": "acme",
        "api_keys": [{"id": "key-acme", "sha256": digest}],
        "appkeys": [{"appkey": "narrow", "locale": "zh-CN", "sample_rate_hz": 8000}],
        "webhook": {"url": url, "secret_id": "acme"},
    }
    put(scene, "config/tenants.json", {"version": 1, "tenants": [tenant]})
    put(scene, "config/keys.json", {**json.loads(KEYS), "webhooks": {"acme": SECRET} if secrets is None else secrets})


def put(scene: Scene, key: str, document: dict[str, Any]) -> None:
    scene._place(scene.state, key, json.dumps(document).encode())


def listening(scene: Scene, url: str, secrets: Mapping[str, str] | None = None) -> Scene:
    """A scene whose webhooks go out by the real client."""
    prepare(scene, url, secrets)
    scene.webhooks = Webhooks(poster(loopback=True), KeyRing(scene.state, clock=scene.clock.now))
    return scene


async def all_tries(scene: Scene) -> None:
    """Let the timer come again until nothing is open."""
    for _ in range(10):
        if not scene.keys("open/"):
            return
        scene.clock.move(max(PAUSES_SECONDS))
        await scene.tick()
    raise AssertionError("it stayed open")


def outcomes(scene: Scene, data: bytes = CALL) -> list[tuple[str, str | None]]:
    return [(one["outcome"], one["reason"]) for one in scene.records(KEY, data) if one["type"] == "noticed"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_the_receiver_learns_where_the_transcript_lies_and_nothing_that_was_said(receiver: Receiver) -> None:
    scene = listening(Scene(), receiver.url)
    scene.recognise.texts = ["my secret words"]
    await scene.deliver(scene.upload(KEY, CALL, {"call-id": "c-1"}))
    job = scene.job(KEY, CALL)
    told = receiver.told()[0]
    assert told.pop("finished_at").endswith("Z")
    assert told == {
        "event_id": f"{job.id}-1",
        "job_id": job.id,
        "generation": 1,
        "state": "done",
        "reason": None,
        "bucket": BUCKET,
        "key": KEY,
        "outputs": {kind: f"transcripts/acme/call 1.wav.{kind}" for kind in ("json", "txt", "srt", "vtt")},
        "call_id": "c-1",
    }
    assert b"secret words" not in receiver.bodies[0]
    assert scene.keys("open/") == []
    assert outcomes(scene) == [("delivered", None)]
    assert receiver.headers[0][""] == "POST /hooks/speech?of=acme HTTP/1.1"


async def test_the_reference_client_believes_us_and_nobody_else(receiver: Receiver) -> None:
    scene = listening(Scene(), receiver.url)
    await scene.deliver(scene.upload(KEY, CALL))
    headers, body, now = receiver.headers[0], receiver.bodies[0], scene.clock.now()
    assert client.verified_id(headers, body, SECRET, now=now) == f"{scene.job(KEY, CALL).id}-1"
    for wrong in (
        {"body": body + b" "},
        {"secret": "another secret, as long as it has to be"},
        {"now": now + 301},
        {"now": now - 301},
        {"headers": {**headers, "webhook-id": "another"}},
        {"headers": {**headers, "webhook-timestamp": str(int(now) + 1)}},
        {"headers": {**headers, "webhook-signature": ""}},
        {"headers": {}},
    ):
        given: dict[str, Any] = {"headers": headers, "body": body, "secret": SECRET, "now": now, **wrong}
        with pytest.raises(client.NotOurs):
            client.verified_id(given.pop("headers"), given.pop("body"), given.pop("secret"), **given)


def test_the_signature_is_that_of_the_specifications_example() -> None:
    """Key, id, time and body of the example that the libraries of Standard Webhooks are tested with."""
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_quarantine_is_told_too_with_its_reason(receiver: Receiver) -> None:
    scene = listening(Scene(), receiver.url)
    await scene.deliver(scene.upload(KEY, b"not audio"))
    assert [(one["state"], one["reason"], one["outputs"]) for one in receiver.told()] == [
        ("quarantined", "audio.unreadable", {})
    ]


FAILING: dict[str, Any] = {
    "webhook.status_500": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "webhook.status_404": b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    "webhook.status_302": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\n\r\n",
    "webhook.status_103": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "webhook.status_101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nmore",
    "webhook.broken": b"this is no HTTP\r\n\r\n",
    "webhook.size": b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 20_000,
}


@pytest.mark.parametrize("reason", FAILING)
async def test_what_is_no_success_is_tried_five_times_and_then_given_up(reason: str) -> None:
    async with receiving(*[FAILING[reason]] * 9) as receiver:
        scene = listening(Scene(), receiver.url)
        await scene.deliver(scene.upload(KEY, CALL))
        assert scene.job(KEY, CALL).latest.published
        await all_tries(scene)
        assert outcomes(scene) == [("failed", reason)] * 4 + [("given_up", reason)]
        assert len(receiver.bodies) == 5
        assert len(set(receiver.bodies)) == 1
        assert len({headers["webhook-id"] for headers in receiver.headers}) == 1
        assert len({headers["webhook-timestamp"] for headers in receiver.headers}) == 5


async def test_a_body_without_end_after_a_success_is_not_read() -> None:
    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
            await writer.drain()

    async with receiving(endless) as receiver:
        scene = listening(Scene(), receiver.url)
        await scene.deliver(scene.upload(KEY, CALL))
        assert outcomes(scene) == [("delivered", None)]


async def test_a_receiver_that_hangs_holds_neither_the_transcript_nor_the_next_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.transcripts.notify.TRY_SECONDS", 0.05)
    assert TRY_SECONDS <= 5
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()

    async with receiving(hang) as receiver:
        scene = listening(Scene(), receiver.url)
        await scene.deliver(scene.upload(KEY, CALL))
        await gone.wait()
        assert outcomes(scene) == [("failed", "webhook.timeout")]
        assert scene.read("transcripts/acme/call 1.wav.txt")
        await all_tries(scene)
        assert outcomes(scene)[-1] == ("delivered", None)


async def test_a_receiver_that_is_gone_for_good_is_left_alone() -> None:
    async with receiving(b"HTTP/1.1 410 Gone\r\n\r\n") as receiver:
        scene = listening(Scene(), receiver.url)
        await scene.deliver(scene.upload(KEY, CALL))
        assert outcomes(scene) == [("given_up", "webhook.status_410")]
        assert scene.keys("open/") == []


async def test_the_next_try_comes_no_sooner_than_its_pause_says() -> None:
    async with receiving(FAILING["webhook.status_500"], FAILING["webhook.status_500"]) as receiver:
        scene = listening(Scene(), receiver.url)
        event = scene.upload(KEY, CALL)
        await scene.deliver(event)
        for pause in PAUSES_SECONDS[:2]:
            tries = len(receiver.bodies)
            scene.clock.move(pause - 1)
            await scene.tick()
            await scene.deliver(event)
            assert len(receiver.bodies) == tries
            scene.clock.move(2)
            await scene.tick()
            assert len(receiver.bodies) == tries + 1
        assert outcomes(scene)[-1] == ("delivered", None)


async def test_a_secret_that_is_missing_is_said_and_not_waited_for_for_ever(receiver: Receiver) -> None:
    scene = listening(Scene(), receiver.url, secrets={})
    await scene.deliver(scene.upload(KEY, CALL))
    await all_tries(scene)
    assert outcomes(scene) == [("failed", "webhook.secret_missing")] * 4 + [("given_up", "webhook.secret_missing")]
    assert receiver.bodies == []


async def test_a_secret_that_is_added_later_is_used(receiver: Receiver) -> None:
    scene = listening(Scene(), receiver.url, secrets={})
    await scene.deliver(scene.upload(KEY, CALL))
    prepare(scene, receiver.url)
    await all_tries(scene)
    assert outcomes(scene) == [("failed", "webhook.secret_missing"), ("delivered", None)]


async def test_a_webhook_taken_away_ends_the_tries() -> None:
    async with receiving(FAILING["webhook.status_500"]) as receiver:
        scene = listening(Scene(), receiver.url)
        await scene.deliver(scene.upload(KEY, CALL))
        scene.tenants(acme={8000: "narrow"})
        await all_tries(scene)
        assert outcomes(scene)[-1] == ("given_up", "webhook.none")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost:1/", "webhook.scheme"),
        ("https://169.254.169.254/latest", "webhook.address"),
        ("https://100.100.100.200/latest", "webhook.address"),
        ("https://10.0.0.1/", "webhook.address"),
        ("https://localhost/", "webhook.address"),
    ],
)
async def test_no_call_goes_to_this_machine_or_its_networks(url: str, reason: str) -> None:
    scene = Scene()
    prepare(scene, url)
    scene.webhooks = Webhooks(poster(loopback=False), KeyRing(scene.state))
    await scene.deliver(scene.upload(KEY, CALL))
    assert outcomes(scene) == [("failed", reason)]


async def test_an_upload_of_the_same_bytes_during_the_tries_loses_neither_event() -> None:
    async with receiving(FAILING["webhook.status_500"]) as receiver:
        scene = listening(Scene(), receiver.url)
        await scene.deliver(scene.upload(KEY, b"not audio"))
        scene.clock.move(10)
        await scene.deliver(scene.upload(KEY, b"not audio"))
        await all_tries(scene)
        assert [one["generation"] for one in receiver.told()] == [1, 2, 1]
        assert len({one["event_id"] for one in receiver.told()}) == 2


@dataclass
class Listener:
    """Stands in for the receiver where calls are struck one by one."""

    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        self.bodies.append(body)
        return 204


def wired() -> tuple[Scene, Tripwire, Listener]:
    scene, listener = Scene(), Listener()
    prepare(scene, "https://receiver.example.com/")
    wire = Tripwire(scene)

    async def post(*arguments: Any) -> int:
        status: int = await wire.call("post", lambda: FetchError("unreachable"), lambda: listener(*arguments))
        return status

    scene.webhooks = Webhooks(post, KeyRing(scene.state, clock=scene.clock.now))
    return scene, wire, listener


def calls_of_a_clean_run() -> list[str]:
    scene, wire, _ = wired()
    asyncio.run(scene.deliver(scene.upload(KEY, CALL)))
    return wire.calls


def test_a_clean_run_posts_once() -> None:
    assert calls_of_a_clean_run().count("post") == 1


@pytest.mark.parametrize("at", range(1, len(calls_of_a_clean_run()) + 1))
@pytest.mark.parametrize("when", get_args(When))
@pytest.mark.parametrize("kind", get_args(Kind))
async def test_whatever_call_is_struck_the_same_event_is_told_at_least_once(at: int, when: When, kind: Kind) -> None:
    scene, wire, listener = wired()
    event = scene.upload(KEY, CALL)
    wire.arm(at, when, kind)
    try:
        await scene.deliver(event)
    except (IsiError, Killed):
        wire.revive()
    wire.revive()
    before = [one for one in scene.records(KEY, CALL) if one["type"] == "terminal"] if written(scene) else []
    await scene.deliver(event)
    await asyncio.gather(*(scene.deliver(event, request_id=f"1-twin-{twin}") for twin in range(2)))
    await all_tries(scene)
    terminals = [one for one in scene.records(KEY, CALL) if one["type"] == "terminal"]
    assert len(terminals) == 1
    assert before in ([], terminals)
    assert 1 <= len(listener.bodies) <= 2
    assert len(set(listener.bodies)) == 1
    assert outcomes(scene)[-1][0] == "delivered"
    assert etag_of(CALL) == scene.job(KEY, CALL).etag


def written(scene: Scene) -> bool:
    return scene.journal(KEY, CALL) in scene.state.objects


async def test_between_two_tries_a_round_does_not_read_the_job() -> None:
    scene = Scene()
    prepare(scene, "https://hooks.example.com/speech")
    answers = [500, 500, 204]

    async def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        return answers.pop(0)

    scene.webhooks = Webhooks(post, KeyRing(scene.state, clock=scene.clock.now))
    await scene.deliver(scene.upload(KEY, CALL))
    for pause, left in zip(PAUSES_SECONDS[:2], (2, 1), strict=True):
        (mark,) = scene.keys("open/")
        assert Mark.read(mark) == replace(
            Mark.read(mark) or pytest.fail(mark), due_at=math.ceil(scene.clock.now() + pause), priority=0
        )
        scene.clock.move(pause - 1)
        before = scene.state.calls.copy()
        assert (await scene.tick())["jobs"] == []
        assert scene.state.calls - before == {"list": 1, "tail": 1}
        assert len(answers) == left
        scene.clock.move(2)
        await scene.tick()
    assert (answers, scene.keys("open/")) == ([], [])
    assert outcomes(scene) == [("failed", "webhook.status_500")] * 2 + [("delivered", None)]


async def test_a_job_that_is_only_to_be_told_is_done_anew_like_any_other() -> None:
    scene = Scene()
    prepare(scene, "https://hooks.example.com/speech")
    answers = [500, 204, 204]

    async def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        return answers.pop(0)

    scene.webhooks = Webhooks(post, KeyRing(scene.state, clock=scene.clock.now))
    await scene.deliver(scene.upload(KEY, CALL))
    job = scene.job(KEY, CALL)
    await scene.deliver(json.dumps({"replay": {"job": job.id, "generation": 1}}).encode())
    await all_tries(scene)
    again = scene.job(KEY, CALL)
    assert [(each.terminal is not None, each.untold) for each in again.generations] == [(True, False)] * 2
    assert answers == []
