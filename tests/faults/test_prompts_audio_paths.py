"""Audio paths answer audio, or an error that no player keeps: whatever is asked, lies there, or fails."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from functions.prompts import playing
from isikit.errors import DeadlineExceeded, Overloaded, SpeechBusy, SpeechTokenRefused, Unspeakable
from support.memory_store import StoredObject, refused
from support.outward import Outward, When, lost
from support.prompting import Instance, World
from support.right_audio import digests, is_audio_or_refusal

TEXT = "您好，欢迎致电。"
FILES = {"freeswitch": "pcm_s16le-8000.wav", "asterisk": "mulaw-8000.ulaw"}
REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("GET", {}),
    ("HEAD", {}),
    ("GET", {"range": "bytes=0-43"}),
    ("GET", {"range": "bytes=9999999-"}),
    ("GET", {"if-none-match": "*"}),
    ("HEAD", {"if-none-match": '"none"'}),
    ("POST", {}),
    ("DELETE", {}),
    ("OPTIONS", {"origin": "https://a.example.com", "access-control-request-method": "GET"}),
    ("PROPFIND", {}),
]
ERRORS: dict[str, Callable[[str], BaseException]] = {
    "lost": lost,
    "refused": lambda _: refused("oss.access_denied", 403),
    "overloaded": lambda _: Overloaded(),
    "too late": lambda _: DeadlineExceeded(),
    "busy": lambda name: SpeechBusy() if name == "speech" else lost(name),
    "token": lambda name: SpeechTokenRefused() if name == "speech" else lost(name),
    "unspeakable": lambda name: Unspeakable() if name == "speech" else lost(name),
    "a defect": lambda _: ValueError("a defect of ours"),
    "the system's": lambda _: OSError("no more files"),
}
Change = Callable[[World, str, str], None]


def hit(world: World, key: str, master: str) -> None:
    """It lies there."""


def lose_rendition(world: World, key: str, master: str) -> None:
    del world.bucket.objects[key]


def lose_all(world: World, key: str, master: str) -> None:
    del world.bucket.objects[key], world.bucket.objects[master]


def damage(world: World, key: str, master: str) -> None:
    for name in (key, master):
        stored = world.bucket.objects[name]
        world.bucket.objects[name] = dataclasses.replace(stored, data=bytes(len(stored.data)))


def empty(world: World, key: str, master: str) -> None:
    for name in (key, master):
        world.bucket.objects[name] = dataclasses.replace(world.bucket.objects[name], data=b"")


def foreign(world: World, key: str, master: str) -> None:
    world.bucket.objects[key] = StoredObject(b"<html>not audio</html>", "text/html", {}, world.clock.now())


def forget(world: World, key: str, master: str) -> None:
    lose_all(world, key, master)
    for name in [name for name in world.state.objects if "recipes/" in name]:
        del world.state.objects[name]


def grow_old(world: World, key: str, master: str) -> None:
    world.pass_time(86_401)


STATES: list[Change] = [hit, lose_rendition, lose_all, damage, empty, foreign, forget, grow_old]


async def prepared(retention: str, consumer: str, change: Change) -> tuple[World, str]:
    world = World()
    wish = {"cache": "bypass"} if retention == "once" else {"retention": retention}
    answer = (await world.instance().post({"text": TEXT, "consumer": consumer, **wish})).json()
    key = answer["url"].split("/", 3)[3]
    change(world, key, next(name for name in world.bucket.objects if name.startswith("masters/")))
    return world, f"/{key}"


async def asked(world: World, instance: Instance, method: str, path: str, headers: dict[str, str]) -> Any:
    answer = await instance.call(method, path, headers=headers, key="")
    told = (method, path, headers, answer.status, answer.headers)
    assert is_audio_or_refusal(answer), told
    if answer.status == 200 and method == "GET":
        assert hashlib.sha256(answer.body).hexdigest() in digests(world.speaker, (TEXT,), path.rpartition("/")[2]), told
    return answer


@pytest.mark.parametrize("retention", ["permanent", "day", "once"])
@pytest.mark.parametrize("change", STATES, ids=lambda change: change.__name__)
async def test_without_a_fault(change: Change, retention: str) -> None:
    statuses = set()
    for consumer in FILES:
        for method, headers in REQUESTS:
            world, path = await prepared(retention, consumer, change)
            answer = await asked(world, world.instance(), method, path, headers)
            statuses.add(answer.status)
    assert statuses <= {200, 206, 304, 404, 405, 410, 416, 503}
    assert 405 in statuses


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("change", STATES, ids=lambda change: change.__name__)
async def test_whatever_outward_call_fails(change: Change, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "WAIT_SECONDS", 0.1)  # a busy service is waited for, and a claim
    is_usual = error == "lost"
    whens: tuple[When, ...] = ("before", "after") if is_usual else ("before",)
    for retention in ("permanent", "day") if is_usual else ("permanent",):
        for method, headers in REQUESTS[:2] if is_usual else REQUESTS[:1]:
            world, path = await prepared(retention, "freeswitch", change)
            clean = Outward()
            await asked(world, world.instance(clean), method, path, headers)
            for nth in range(1, len(clean.calls) + 1):
                for when in whens:
                    await _struck(change, retention, method, headers, Outward(nth, "fault", when, ERRORS[error]))


async def _struck(change: Change, retention: str, method: str, headers: dict[str, str], outward: Outward) -> None:
    world, path = await prepared(retention, "freeswitch", change)
    instance = world.instance(outward)
    for _ in range(2):  # the second finds what the first left behind
        await asked(world, instance, method, path, headers)
    assert outward.struck


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("bucket", ["bucket", "state"])
@pytest.mark.parametrize("change", STATES, ids=lambda change: change.__name__)
async def test_while_a_whole_bucket_is_away(change: Change, bucket: str, when: When) -> None:
    for method, headers in REQUESTS:
        world, path = await prepared("permanent", "freeswitch", change)
        for operation in ("head", "get", "tail", "put", "append", "delete", "list"):
            getattr(world, bucket).fail(operation, times=10_000, when=when)
        await asked(world, world.instance(), method, path, headers)


@pytest.mark.parametrize(
    "path",
    [
        "/p/", "/e/", "/p", "/p/acme", "/p/acme/", "/p/acme/k1/x.wav", "/p/acme/../../config/keys.json",
        "/p/acme/%2e%2e/x.wav", "/p//acme/x", "/p/ACME/k1/x.wav", "/e/acme/once/",
        "/p/acme/once/" + "a" * 52 + "/a.wav",
        "/p/acme/k1" + "a" * 52 + "/pcm_s16le-8000.wav", "/p/acme/k1" + "a" * 52 + "/pcm_s16le-44100.wav",
        "/p/acme/k1" + "a" * 52 + "/pcm_s16le-8000.wav/", "/p/acme/k1" + "a" * 52 + "/pcm_s16le-8000.wav\n",
        "/p/" + "a" * 5000, "/p/\x00", "/p/acme/k1" + "é" * 52 + "/x.wav",
    ],
)  # fmt: skip
async def test_paths_of_nothing(world: World, path: str) -> None:
    instance = world.instance()
    for method, headers in REQUESTS:
        answer = await instance.call(method, path, headers=headers, key="")
        assert 400 <= answer.status < 500, (method, path, answer.status)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_prompt_that_is_left_for_later_is_never_a_2xx_before_it_is_there(world: World) -> None:
    instance = world.instance()
    url = (await instance.post({"text": TEXT, "wait_ms": 0})).json()["url"]
    world.speaker.error = functools.partial(lost, "speech")  # type: ignore[assignment]
    for method in ("HEAD", "GET"):
        answer = await instance.call(method, url, key="")
        assert is_audio_or_refusal(answer) and answer.status in (502, 503)
        assert "retry-after" in answer.headers


@pytest.fixture
def world() -> World:
    return World()


async def said_here(state: str) -> tuple[World, str]:
    """A world with a sealed text in a URL, and what there is of its audio."""
    world = World()
    instance = world.instance()
    sealing = b'{"text":"%s","consumer":"freeswitch"}' % TEXT.encode()
    path = (await instance.call("POST", "/v1/say", body=sealing)).json()["url"]
    if state != "never spoken":
        assert (await instance.get(path)).status == 200
    if state == "damaged":
        for key, stored in list(world.bucket.objects.items()):
            world.bucket.objects[key] = dataclasses.replace(stored, data=bytes(len(stored.data)))
    return world, path


@pytest.mark.parametrize("error", ["lost", "refused", "overloaded", "busy", "a defect"])
@pytest.mark.parametrize("state", ["never spoken", "spoken", "damaged"])
async def test_a_sealed_text_is_answered_with_audio_or_a_refusal_whatever_fails(
    state: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "WAIT_SECONDS", 0.1)
    for method, headers in REQUESTS:
        world, path = await said_here(state)
        clean = Outward()
        answer = await world.instance(clean).call(method, path, headers=headers, key="")
        assert is_audio_or_refusal(answer), (method, answer)
        for nth in range(1, len(clean.calls) + 1) if (method, headers) in REQUESTS[:2] else ():
            world, path = await said_here(state)
            instance = world.instance(Outward(nth, "fault", "before", ERRORS[error]))
            for _ in range(2):
                answer = await instance.call(method, path, headers=headers, key="")
                assert is_audio_or_refusal(answer), (method, clean.calls[nth - 1], answer)
                if answer.status == 200 and method == "GET":
                    right = digests(world.speaker, (TEXT,), FILES["freeswitch"])
                    assert hashlib.sha256(answer.body).hexdigest() in right
