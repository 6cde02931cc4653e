"""What is left for later: the event, its signature, and doing it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from functions.prompts import app
from functions.prompts.later import Event, Later, Make, event_of
from functions.prompts.prompt import Place
from functions.prompts.remaking import carry_out
from functions.prompts.rendition import RENDITIONS
from isikit.credentials import Credentials, StsCredentials
from isikit.errors import RequestError
from isikit.host.context import Deadline
from isikit.host.dispatch import EventContext
from isikit.self_invocation import SelfInvocation, signed
from support.prompting import BASE_URL, Instance, World

PLACE = Place("acme", "permanent", "k1" + "a" * 52)
RENDITION = RENDITIONS["mulaw-8000.ulaw"]
WORDS = {"text": "您好，欢迎致电。"}


def test_the_event_names_a_recipe_and_holds_no_text() -> None:
    assert msgspec.json.decode(event_of(PLACE, RENDITION)) == {
        "make": {
            "tenant": "acme",
            "id": PLACE.slot,
            "retention": "permanent",
            "rendition": "mulaw-8000.ulaw",
            "older_than": None,
        }
    }
    assert msgspec.json.decode(event_of(PLACE, RENDITION), type=Event).make.id == PLACE.slot


def test_the_signature_is_the_one_of_the_official_sdk() -> None:
    from alibabacloud_tea_openapi.utils import Utils
    from darabonba.request import DaraRequest

    body = b'{"make":{}}'
    url = "https://fcv3.cn-beijing.aliyuncs.com/2023-03-30/functions/speech-tts-dev/invocations"
    credentials = StsCredentials("STS.id", "secret", "token")
    ours = signed(url, "qualifier=live", body, credentials, now=lambda: 1_700_000_000.0, nonce=lambda: "nonce")
    request = DaraRequest()
    request.method, request.pathname = "POST", "/2023-03-30/functions/speech-tts-dev/invocations"
    request.query = {"qualifier": "live"}
    request.headers = {
        name: value for name, value in ours.items() if name not in ("authorization", "x-fc-invocation-type")
    }
    theirs = Utils.get_authorization(
        request, "ACS3-HMAC-SHA256", ours["x-acs-content-sha256"], credentials.access_key_id, "secret"
    )
    assert ours["authorization"] == theirs
    assert ours["x-acs-date"] == "2023-11-14T22:13:20Z"
    assert ours["x-fc-invocation-type"] == "Async"


class FunctionCompute(BaseHTTPRequestHandler):
    status, body, seen = 202, b"", list[tuple[str, dict[str, str], bytes]]()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        FunctionCompute.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
        self.send_response(FunctionCompute.status)
        self.send_header("Content-Length", str(len(FunctionCompute.body)))
        self.end_headers()
        self.wfile.write(FunctionCompute.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    FunctionCompute.status, FunctionCompute.body = 202, b""
    FunctionCompute.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), FunctionCompute)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def later(endpoint: str, name: str = "speech-tts-dev") -> Later:
    environment = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
        "ALIBABA_CLOUD_SECURITY_TOKEN": "token",
    }
    return Later(SelfInvocation(endpoint, name, Credentials(environment)))


async def test_the_function_invokes_its_own_alias_asynchronously(endpoint: str) -> None:
    assert await later(endpoint).make(PLACE, RENDITION)
    (path, headers, body) = FunctionCompute.seen[0]
    assert path == "/2023-03-30/functions/speech-tts-dev/invocations?qualifier=live"
    assert headers["x-fc-invocation-type"] == "Async"
    assert headers["authorization"].startswith("ACS3-HMAC-SHA256 Credential=id,SignedHeaders=content-type;host;x-acs-")
    assert headers["x-acs-security-token"] == "token"
    assert body == event_of(PLACE, RENDITION)


@pytest.mark.parametrize(("status", "body"), [(403, b'{"Code":"AccessDenied"}'), (500, b"<html>"), (200, b"")])
async def test_an_invocation_that_was_not_taken_is_no_error(
    endpoint: str, status: int, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    FunctionCompute.status, FunctionCompute.body = status, body
    assert not await later(endpoint).make(PLACE, RENDITION)
    assert '"invocation.failed"' in capsys.readouterr().out


async def test_without_an_endpoint_that_answers_or_a_name_nothing_breaks(endpoint: str) -> None:
    assert not await later("http://127.0.0.1:9").make(PLACE, RENDITION)
    assert not await later(endpoint, name="").make(PLACE, RENDITION)
    assert not FunctionCompute.seen


async def test_a_failed_invocation_still_answers_pending_and_a_player_makes_it(
    world: World, instance: Instance
) -> None:
    world.later.works = False
    answer = await instance.post({**WORDS, "wait_ms": 0})
    assert answer.status == 202
    assert (await instance.get(answer.json()["url"])).status == 200


async def test_doing_it_twice_costs_nothing_the_second_time(world: World, instance: Instance) -> None:
    await instance.post({**WORDS, "wait_ms": 0, "retention": "day"})
    world.later.asked *= 2
    assert await world.later.carried_out(world.instance().prompts) == [True, True]
    assert len(world.speaker.said) == 1


async def test_what_was_deleted_or_ended_meanwhile_is_not_made(world: World, instance: Instance) -> None:
    got = (await instance.post({**WORDS, "wait_ms": 0})).json()
    await instance.call("DELETE", f"/v1/prompts/{got['id']}")
    await instance.post({**WORDS, "wait_ms": 0, "retention": "day"})
    world.pass_time(86_401)
    assert await world.later.carried_out(instance.prompts) == [False, False]
    assert not world.speaker.said


async def test_bypassed_prompts_can_be_left_for_later_too(world: World, instance: Instance) -> None:
    got = (await instance.post({**WORDS, "wait_ms": 0, "cache": "bypass"})).json()
    assert "/once/" in got["url"] and got["status"] == "pending"
    assert await world.later.carried_out(instance.prompts) == [True]
    assert (await instance.get(got["url"])).status == 200


async def test_a_refresh_that_nobody_waits_for_is_done_once_however_often_the_event_comes(
    world: World, instance: Instance
) -> None:
    got = (await instance.post(WORDS)).json()
    old = (await instance.get(got["url"])).body
    world.pass_time(2)
    assert (await instance.post({**WORDS, "cache": "refresh", "wait_ms": 0})).status == 202
    assert (await instance.get(got["url"])).body == old  # until the new one is there
    world.pass_time(2)
    world.later.asked *= 3
    assert await world.later.carried_out(instance.prompts) == [True] * 3
    assert (await instance.get(got["url"])).body != old
    assert len(world.speaker.said) == 2


@pytest.mark.parametrize(
    "changes", [{"rendition": "x.wav"}, {"id": "../../config"}, {"id": "once/x"}, {"rendition": "mulaw-8000.wav"}]
)
async def test_an_event_that_names_nothing_is_refused(instance: Instance, changes: dict[str, str]) -> None:
    make = msgspec.structs.replace(Make("acme", PLACE.slot, "permanent", "mulaw-8000.ulaw"), **changes)
    with pytest.raises(RequestError):
        await carry_out(instance.prompts, make, Deadline.after(1))


@pytest.mark.parametrize("event", [b"", b"{}", b'{"events": []}', b'{"make": {"tenant": "a"}}', b"\xff"])
async def test_the_handler_takes_no_other_events(event: bytes) -> None:
    with pytest.raises(RequestError):
        await app.handler(event, EventContext("r", Deadline.after(1)))


async def test_the_handler_makes_what_the_event_names(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = (await instance.post({**WORDS, "wait_ms": 0})).json()
    monkeypatch.setattr(app, "instance", lambda: instance.prompts)
    place, rendition, _ = world.later.asked[0]
    assert await app.handler(event_of(place, rendition), EventContext("r", Deadline.after(5))) == {"made": True}
    assert f"{BASE_URL}/{place.rendition_key(rendition)}" == got["url"]
    assert len(world.speaker.said) == 1
