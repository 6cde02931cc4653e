"""The reference clients of docs/clients against localcloud: real audio, real leases, and what goes wrong with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from aiohttp import web

from support.lease_tenants import key_of
from support.local_cloud import ROOT, Local
from support.node import NODE
from support.recordings import speech
from support.serving import served

pytestmark = pytest.mark.xdist_group("e2e")

CLIENTS = ROOT / "docs" / "clients"
RATE_HZ = 16000
PAUSE_MS = 1000  # the service ends a sentence after 800 ms
TEXTS = ("你好", "Again")
DEAD_TOKEN = "d" * 32

JAVASCRIPT = """
import { readFileSync } from "node:fs";
const { Leases, transcribe } = await import(process.env.MODULE);
const leases = new Leases({ url: process.argv[1], headers: () => JSON.parse(process.env.HEADERS) });
async function* frames() {
  const pcm = readFileSync(process.argv[2]).subarray(44);
  for (let at = 0; at < pcm.length; at += 3200) yield pcm.subarray(at, at + 3200);
}
const sentences = await transcribe({ leases, audio: frames() });
for (const { begin_ms, end_ms, text } of sentences) console.log(`${begin_ms}\\t${end_ms}\\t${text}`);
"""


@dataclass
class Desk:
    """A proxy in front of the lease endpoint that does to each request what the test says."""

    upstream: str
    steps: list[Callable[[dict[str, Any]], web.Response | None]]
    tokens: list[str] = field(default_factory=list)
    asked: int = 0

    def app(self) -> web.Application:
        async def lease(request: web.Request) -> web.Response:
            step = self.steps.pop(0) if self.steps else _as_it_is
            self.asked += 1
            headers = {"X-Api-Key": request.headers["X-Api-Key"], "Content-Type": "application/json"}
            async with (
                aiohttp.ClientSession() as session,
                session.post(self.upstream, data=await request.read(), headers=headers) as answer,
            ):
                granted = await answer.json()
            said = step(granted)
            if said is None:
                self.tokens.append(granted["token"])
                said = web.json_response(granted)
            return said

        app = web.Application()
        app.router.add_route("*", "/v1/token", lease)
        return app


def _as_it_is(_: dict[str, Any]) -> None:
    return None


def _dead(granted: dict[str, Any]) -> None:
    granted["token"] = DEAD_TOKEN


def _short(granted: dict[str, Any]) -> None:
    granted["refresh_in"] = 0


def _too_many(_: dict[str, Any]) -> web.Response:
    return web.json_response({"code": "limit.rate"}, status=429, headers={"Retry-After": "1"})


def _too_many_today(_: dict[str, Any]) -> web.Response:
    return web.json_response({"code": "limit.quota"}, status=429, headers={"Retry-After": "40000"})


def _forbidden(_: dict[str, Any]) -> web.Response:
    return web.json_response({"code": "lease.not_allowed"}, status=403)


def _elsewhere(place: str) -> Callable[[dict[str, Any]], web.Response]:
    return lambda _: web.Response(status=302, headers={"Location": place})


@contextmanager
def desk(local: Local, *steps: Any) -> Iterator[tuple[Desk, str]]:
    """A desk and its URL."""
    at_work = Desk(local.config["gateway"] + "/v1/token", list(steps))
    with served(at_work.app) as address:
        yield at_work, f"http://{address}/v1/token"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences with a pause after each."""
    path = tmp_path_factory.mktemp("recording") / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(speech(*TEXTS, rate_hz=RATE_HZ, pause_ms=PAUSE_MS))
    return path


@dataclass
class Said:
    """What a client printed."""

    status: int
    lines: list[tuple[int, int, str]]
    errors: str


def python(url: str, recording: Path) -> Said:
    command = [sys.executable, str(CLIENTS / "python" / "speech.py"), url, str(recording)]
    return _run(command, {"SPEECH_API_KEY": key_of("web")["X-Api-Key"]})


def javascript(url: str, recording: Path) -> Said:
    module = (CLIENTS / "javascript" / "speech.js").as_uri()
    command = [NODE, "--input-type=module", "--eval", JAVASCRIPT, url, str(recording)]
    return _run(command, {"MODULE": module, "HEADERS": json.dumps(key_of("web"))})


def _run(command: list[str], environment: dict[str, str]) -> Said:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return Said(done.returncode, [(int(begin), int(end), text) for begin, end, text in rows], done.stderr)


def arm(local: Local, **fault: Any) -> None:
    assert requests.post(local.config["admin"] + "/faults", json=fault, timeout=10).status_code == 201


both = pytest.mark.parametrize("client", [python, javascript])


@both
def test_audio_is_turned_into_text_with_a_leased_token(local: Local, recording: Path, client: Any) -> None:
    with desk(local) as (at_work, url):
        said = client(url, recording)
    assert [text for _, _, text in said.lines] == list(TEXTS), said.errors
    assert said.lines[0][0] < said.lines[0][1] <= said.lines[1][0] < said.lines[1][1]
    assert at_work.asked == 1


@both
def test_too_many_requests_are_waited_out(local: Local, recording: Path, client: Any) -> None:
    with desk(local, _too_many) as (at_work, url):
        said = client(url, recording)
    assert [text for _, _, text in said.lines] == list(TEXTS), said.errors
    assert at_work.asked == 2


@both
@pytest.mark.parametrize(("step", "code"), [(_too_many_today, "limit.quota"), (_forbidden, "lease.not_allowed")])
def test_a_refusal_that_stays_is_told_at_once(local: Local, recording: Path, client: Any, step: Any, code: str) -> None:
    with desk(local, step, step) as (at_work, url):
        said = client(url, recording)
    assert (said.status, said.lines, at_work.asked) == (1, [], 1)
    assert code in said.errors


@both
def test_a_redirect_is_not_followed_for_it_would_carry_the_key_along(
    local: Local, recording: Path, client: Any
) -> None:
    with desk(local) as (other, place), desk(local, _elsewhere(place.replace("127.0.0.1", "localhost"))) as (_, url):
        said = client(url, recording)
    assert (said.status, said.lines, other.asked) == (1, [], 0)


@both
def test_a_token_that_the_gateway_refuses_is_replaced_by_a_new_lease(
    local: Local, recording: Path, client: Any
) -> None:
    with desk(local, _dead) as (at_work, url):
        said = client(url, recording)
    assert [text for _, _, text in said.lines] == list(TEXTS), said.errors
    assert (at_work.asked, at_work.tokens[0]) == (2, DEAD_TOKEN)
    assert DEAD_TOKEN not in said.errors


@both
def test_a_task_that_fails_for_its_token_goes_on_with_a_new_lease(local: Local, recording: Path, client: Any) -> None:
    arm(local, operation="nls.asr.ws", code="40000001")
    with desk(local) as (at_work, url):
        said = client(url, recording)
    assert [text for _, _, text in said.lines] == list(TEXTS), said.errors
    assert at_work.asked == 2


@both
def test_a_connection_lost_in_mid_sentence_loses_no_word_and_a_short_lease_is_renewed(
    local: Local, recording: Path, client: Any
) -> None:
    first_bytes = len(speech(TEXTS[0], rate_hz=RATE_HZ, pause_ms=PAUSE_MS))
    arm(local, operation="nls.asr.ws", action="drop_after_bytes", value=str(first_bytes + 6400))
    with desk(local, _short) as (at_work, url):
        said = client(url, recording)
    assert [text for _, _, text in said.lines] == list(TEXTS), said.errors
    assert abs(said.lines[1][0] - first_bytes / 2 / RATE_HZ * 1000) < 400
    assert at_work.asked >= 2


def test_samples_become_pcm_and_are_clipped() -> None:
    script = (
        "const { pcm16 } = await import(process.env.MODULE);"
        "console.log([...new Int16Array(pcm16(new Float32Array([0, 1, -1, 2, -2, 0.5])).buffer)].join());"
    )
    command = [NODE, "--input-type=module", "--eval", script]
    module = (CLIENTS / "javascript" / "speech.js").as_uri()
    said = subprocess.check_output(command, env={**os.environ, "MODULE": module}, text=True, timeout=30)
    assert said.strip() == "0,32767,-32768,32767,-32768,16384"
