"""One line per event, from a closed list of fields."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest

from isikit import logs
from isikit.errors import NotJson
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.host.requests import parse_json


def _line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_INSTANCE_ID", "c-6a9fbf89-173c38a5-fcb0e565fb65")
    monkeypatch.setenv("FC_FUNCTION_NAME", "speech-tts-dev")


def test_an_event_is_one_json_line_with_its_frame(capsys: pytest.CaptureFixture[str], deployed: None) -> None:
    request = RequestContext("1-aa-bb-cc", Deadline.after(1), tenant_id="acme", call_id="a84b@pc33.example.com")
    with context.entered(request):
        logs.event("prompt.served", cache="hit", duration_ms=1.5)
    line = _line(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "prompt.served",
        "function": "speech-tts-dev",
        "instance_id": "c-6a9fbf89-173c38a5-fcb0e565fb65",
        "request_id": "1-aa-bb-cc",
        "tenant": "acme",
        "call_id": "a84b@pc33.example.com",
        "cache": "hit",
        "duration_ms": 1.5,
    }


def test_outside_of_a_request_there_is_no_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    logs.event("host.started", port=9000, code=None)
    assert not {"request_id", "tenant", "code"} & set(_line(capsys))


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "hello"},
        {"reason": "您的验证码是482913"},
        {"reason": "two words"},
        {"route": "/v1/say/x?token=1"},
        {"reason": "x" * 129},
        {"reason": "c0ffee00c0ffee00c0ffee00c0ffee00"},
        {"reason": "LTAI5tCanaryCanary"},
        {"reason": 7},
        {"status": "200"},
        {"status": True},
        {"status": 1.5},
        {"duration_ms": float("nan")},
        {"count": True},
    ],
    ids=str,
)
def test_what_is_not_listed_or_not_like_a_name_raises_in_development(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="may be logged"):
        logs.event("prompt.served", **fields)


def test_deployed_it_is_dropped_and_the_rest_is_written(capsys: pytest.CaptureFixture[str], deployed: None) -> None:
    logs.event("prompt.served", text="secret", reason="您的验证码是482913", status=200)  # type: ignore[arg-type]
    line = _line(capsys)
    assert line["status"] == 200
    assert not {"text", "reason"} & set(line)


@pytest.mark.parametrize("name", ["Prompt.served", "served", "prompt served.now", "a.b.c"])
def test_event_names_are_noun_dot_verb(name: str) -> None:
    with pytest.raises(ValueError, match=r"noun\.verb"):
        logs.event(name)


def test_lines_of_threads_never_mix(capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        for number in range(200):
            logs.event("thread.ran", count=number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 800
    assert all(json.loads(line)["event"] == "thread.ran" for line in lines)


def test_a_closed_stdout_does_not_fail_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    logs.event("prompt.served")


@pytest.mark.parametrize("name", sorted(logs.FIELDS))
def test_every_field_has_a_json_type_and_a_meaning(name: str) -> None:
    assert logs.FIELDS[name].type in (int, float, str, bool)
    assert logs.FIELDS[name].meaning
    assert re.fullmatch(r"[a-z_]+", name)


def test_the_frame_of_a_line_cannot_be_overwritten_by_a_field() -> None:
    frame = {"time", "level", "event", "function", "instance_id", "request_id", "tenant", "call_id"}
    assert not frame & set(logs.FIELDS)


def test_a_failure_names_our_own_frame_and_nothing_of_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        parse_json(b"\xff secret text")
    except NotJson as error:
        logs.failure("request.failed", error)
    line = _line(capsys)
    assert line["error_type"] == "NotJson"
    assert line["code"] == "request.not_json"
    assert re.fullmatch(r"isikit/host/requests\.py:\d+", line["where"])
    assert "secret" not in json.dumps(line)
