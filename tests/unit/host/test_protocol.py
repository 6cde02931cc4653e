"""Function Compute's protocol against the real server."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.running_host import PLATFORM, Answer, RunningHost

ID = "1-65e59b07-1520da26-"


def _json(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def test_an_event_reaches_the_handler_with_its_context(host: RunningHost) -> None:
    answer = host.call("/invoke", "/invoke", b"hello", retry_count="2")
    assert (answer.status, answer.headers["x-fc-status"]) == (200, "200")
    assert answer.headers["content-type"] == "application/json"
    said = _json(answer)
    assert 58.0 < said.pop("remaining") < 60.0
    said.pop("initialized")
    assert said == {
        "event": "hello",
        "request_id": PLATFORM["x-fc-request-id"],
        "function_name": "speech-tts-dev",
        "region": "cn-beijing",
        "account_id": "1234567890123456",
        "retry_count": 2,
        "key_is_current": "STS.canary-id",
    }


def test_the_path_of_an_event_means_nothing(host: RunningHost) -> None:
    assert _json(host.call("/invoke", "/fail", b"hello"))["event"] == "hello"


@pytest.mark.parametrize(
    ("event", "body", "content_type"),
    [(b"bytes", b"\x00\x01", "application/octet-stream"), (b"text", "文".encode(), "text/plain; charset=utf-8")],
)
def test_bytes_and_text_are_answered_as_they_are(
    host: RunningHost, event: bytes, body: bytes, content_type: str
) -> None:
    answer = host.call("/invoke", "/invoke", event)
    assert (answer.body, answer.headers["content-type"]) == (body, content_type)


def test_a_failed_event_is_a_404_that_the_platform_counts_as_failed(host: RunningHost) -> None:
    answer = host.call("/invoke", "/invoke", b"fail", request_id=ID + "fail")
    assert (answer.status, answer.headers["x-fc-status"]) == (404, "404")
    assert set(_json(answer)) == {"errorMessage", "errorType"}
    assert _json(answer)["errorType"] == "RuntimeError"
    assert b"secret" not in answer.body
    assert "secret" not in host.output()
    assert ID + "fail" in _json(answer)["errorMessage"]


def test_an_error_of_ours_says_its_code_and_advice(host: RunningHost) -> None:
    said = _json(host.call("/invoke", "/invoke", b"busy"))
    assert said["errorType"] == "SpeechBusy"
    assert said["errorMessage"].startswith("nls.too_many_requests: ")


def test_framing_lines_surround_what_an_event_logs(host: RunningHost) -> None:
    host.call("/invoke", "/invoke", b"hello", request_id=ID + "framed1")
    lines = host.lines_of(ID + "framed1")
    assert lines[0] == f"FC Invoke Start RequestId: {ID}framed1"
    assert json.loads(lines[1])["event"] == "event.finished"
    assert lines[2:] == [f"FC Invoke End RequestId: {ID}framed1"]


def test_the_end_line_of_a_failure_says_so(host: RunningHost) -> None:
    host.call("/invoke", "/invoke", b"fail", request_id=ID + "framed2")
    lines = host.lines_of(ID + "framed2")
    failed = json.loads(lines[1])
    assert (failed["event"], failed["error_type"]) == ("event.failed", "RuntimeError")
    assert lines[2:] == [f"FC Invoke End RequestId: {ID}framed2, Error: Unhandled function error"]


def test_an_http_call_is_framed_and_logged_before_its_last_byte_is_sent(host: RunningHost) -> None:
    host.call("/http-invoke", "/echo/one?q=secret", request_id=ID + "framed3")
    lines = host.lines_of(ID + "framed3")
    assert lines[0] == f"FC Invoke Start RequestId: {ID}framed3"
    finished = json.loads(lines[1])
    assert (finished["event"], finished["route"], finished["method"], finished["status"]) == (
        "request.finished",
        "/echo/{name}",
        "GET",
        200,
    )
    assert lines[2:] == [f"FC Invoke End RequestId: {ID}framed3"]
    assert "q=secret" not in host.output()


@pytest.mark.parametrize("path", ["/invoke", "/echo/invoke"])
def test_an_http_call_goes_to_the_application_whatever_its_path(host: RunningHost, path: str) -> None:
    answer = host.call("/http-invoke", path, b"{}")
    assert answer.status == 200
    assert _json(answer)["path"] == path
    assert "x-fc-status" not in answer.headers


@pytest.mark.parametrize("path", ["/invoke", "/initialize", "/pre-stop", "/%69nvoke"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_platform_call_is_not_there(host: RunningHost, method: str, path: str) -> None:
    answer = host.send(method, path, {"x-fc-request-id": "1-1-1-1"}, b"[]" if method == "POST" else None)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_unknown_control_path_is_not_there(host: RunningHost) -> None:
    assert host.call("/pre-freeze", "/echo/x").status == 404


def test_the_application_never_sees_the_platforms_headers_or_credentials(host: RunningHost) -> None:
    for answer in (
        host.call("/http-invoke", "/echo/x"),
        host.send("GET", "/echo/x", {"X-Fc-Access-Key-Id": "STS.canary-id", "x-fc-security-token": "canary-token"}),
    ):
        said = _json(answer)
        assert not [name for name in said["headers"] if name.startswith("x-fc-")]
        assert "canary" not in said["scope"]


def test_credentials_sent_without_the_control_header_are_not_believed(host: RunningHost) -> None:
    host.call("/http-invoke", "/echo/x")
    forged = {"x-fc-access-key-id": "STS.forged", "x-fc-access-key-secret": "forged"}
    assert _json(host.send("GET", "/echo/x", forged))["key_is_current"] == "STS.canary-id"


def test_each_call_brings_newer_credentials(host: RunningHost) -> None:
    assert _json(host.call("/http-invoke", "/echo/x", access_key_id="STS.newer"))["key_is_current"] == "STS.newer"
    assert _json(host.call("/invoke", "/x", b"", access_key_id="STS.newest"))["key_is_current"] == "STS.newest"


@pytest.mark.parametrize("sent", ["", "two words", "x" * 65, "1-65e59b07\t"])
def test_a_request_id_that_is_none_is_replaced_by_one_in_the_platforms_form(host: RunningHost, sent: str) -> None:
    answer = host.call("/http-invoke", "/echo/x", request_id=sent)
    assert re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{12}", _json(answer)["request_id"])
    assert answer.headers["x-request-id"] == _json(answer)["request_id"]


@pytest.mark.parametrize(("timeout", "least", "most"), [("3", 2.0, 2.6), ("", 55.0, 60.1), ("soon", 55.0, 60.1)])
def test_the_deadline_comes_from_the_functions_timeout(
    host: RunningHost, timeout: str, least: float, most: float
) -> None:
    assert least < _json(host.call("/http-invoke", "/echo/x", function_timeout=timeout))["remaining"] < most


def test_the_initializer_runs_and_is_framed(host: RunningHost) -> None:
    before = _json(host.call("/invoke", "/x", b""))["initialized"]
    assert host.call("/initialize", "/initialize", b"", request_id=ID + "init").status == 200
    assert _json(host.call("/invoke", "/x", b""))["initialized"] == before + 1
    assert host.lines_of(ID + "init") == [
        f"FC Initialize Start RequestId: {ID}init",
        f"FC Initialize End RequestId: {ID}init",
    ]


@pytest.mark.parametrize(
    ("given", "least", "most"), [("3", 2.0, 2.6), ("", 8.0, 9.6), ("0", 8.0, 9.6), ("soon", 8.0, 9.6)]
)
def test_a_plain_initializer_runs_in_a_thread_with_the_initializers_own_deadline(
    host: RunningHost, given: str, least: float, most: float
) -> None:
    host.call("/initialize", "/initialize", b"", initialization_timeout=given, function_timeout="10")
    said = _json(host.call("/http-invoke", "/echo/x"))["initializer"]
    assert said["in_a_thread"]
    assert least < said["remaining"] < most


def test_a_request_has_the_functions_time_and_not_the_initializers(host: RunningHost) -> None:
    answer = host.call("/http-invoke", "/echo/x", initialization_timeout="3", function_timeout="10")
    assert 8.0 < _json(answer)["remaining"] < 9.6


def test_a_failing_hook_is_told_to_the_platform_without_its_message(host: RunningHost) -> None:
    answer = host.call("/pre-stop", "/pre-stop", request_id=ID + "stop")
    assert (answer.status, answer.headers["x-fc-status"]) == (404, "404")
    assert b"secret" not in answer.body
    lines = host.lines_of(ID + "stop")
    assert lines[0] == f"FC PreStop Start RequestId: {ID}stop"
    assert lines[-1] == f"FC PreStop End RequestId: {ID}stop, Error: Unhandled function error"


def test_an_unexpected_exception_is_a_problem_that_leaks_nothing(host: RunningHost) -> None:
    answer = host.call("/http-invoke", "/fail", request_id=ID + "500")
    assert answer.status == 500
    assert _json(answer)["code"] == "host.unexpected"
    assert b"secret" not in answer.body
    failed = next(json.loads(line) for line in host.lines_of(ID + "500") if "request.failed" in line)
    assert failed["error_type"] == "RuntimeError"
    assert host.lines_of(ID + "500")[-1].endswith(", Error: Unhandled function error")


def test_health_checks_do_not_fill_the_log(host: RunningHost) -> None:
    host.send("GET", "/healthz")
    assert "healthz" not in host.output()


def test_a_connection_survives_being_idle_longer_than_uvicorns_default(host: RunningHost) -> None:
    with closing(host.connect()) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        # uvicorn closes idle connections after 5 s by default; readable would mean that it did.
        assert not select.select([connection.sock], [], [], 5.5)[0]
        connection.request("POST", "/echo/x", b"{}")
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)


def test_a_caller_that_goes_away_harms_nobody(host: RunningHost) -> None:
    for request in (
        b"POST /echo/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{",
        b"GET /hold?seconds=0.2 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: h\r\nx-fc-control-path: /invoke\r\nContent-Length: 100\r\n\r\n{",
        b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00",
    ):
        gone = socket.create_connection(("127.0.0.1", host.port))
        gone.sendall(request)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
        gone.close()
    assert host.send("GET", "/healthz").status == 200
    assert host.process.poll() is None
    assert "Traceback" not in host.output()


def test_the_server_does_not_say_what_it_is(host: RunningHost) -> None:
    assert "server" not in host.send("GET", "/healthz").headers


def test_sigterm_ends_it_cleanly_after_what_is_running(tmp_path: Path) -> None:
    running = RunningHost("echo_function", Path(__file__).parent, tmp_path / "stdout.log")
    try:
        running.wait_until_healthy()
        with closing(running.connect()) as idle, closing(running.connect()) as busy:
            idle.request("GET", "/healthz")
            idle.getresponse().read()
            headers = {"x-fc-control-path": "/http-invoke", "x-fc-request-id": ID + "busy"}
            busy.request("GET", "/hold?seconds=0.5", headers=headers)
            running.wait_for(f"FC Invoke Start RequestId: {ID}busy")
            assert running.stop() == 0
            assert busy.getresponse().read() == b"done"
        assert json.loads(running.output().splitlines()[-1])["event"] == "host.stopped"
    finally:
        running.end()


@pytest.mark.parametrize("module", ["no_such_module", "json"])
def test_a_module_that_cannot_be_served_ends_the_process_with_a_reason(tmp_path: Path, module: str) -> None:
    running = RunningHost(module, Path(__file__).parent, tmp_path / "stdout.log")
    try:
        assert running.process.wait(timeout=30) == 1
        failed = json.loads(running.output().splitlines()[0])
        assert failed["event"] == "host.failed"
        assert failed["error_type"] in ("ModuleNotFoundError", "ConfigError")
    finally:
        running.end()


def _raw(host: RunningHost, head: str, timeout: str = "1") -> socket.socket:
    """A connection on which the platform forwards a request, headers only."""
    line = socket.create_connection(("127.0.0.1", host.port), timeout=20)
    platform = "".join(f"{name}: {value}\r\n" for name, value in {**PLATFORM, "x-fc-function-timeout": timeout}.items())
    line.sendall(f"{head} HTTP/1.1\r\nHost: x\r\nx-fc-control-path: /http-invoke\r\n{platform}".encode())
    return line


def test_a_body_that_does_not_come_is_answered_before_the_platform_ends_the_instance(host: RunningHost) -> None:
    with closing(_raw(host, "POST /echo/x")) as line:
        line.sendall(b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"tex')
        assert line.recv(65536).startswith(b"HTTP/1.1 408 ")


def _said(line: socket.socket, *parts: bytes) -> bytes:
    """All that is answered to them, until the connection is closed; b"" where it is dropped."""
    said = b""
    with contextlib.suppress(ConnectionError):
        for part in parts:
            line.sendall(part)
        while got := line.recv(65536):
            said += got
    return said


def _too_long(host: RunningHost) -> int:
    return host.output().count("request.head_too_long")


@pytest.mark.parametrize(
    "head",
    [
        [b"x-one: " + 70_000 * b"1" + b"\r\n\r\n"],
        [b"x-one: ", *(70 * [1000 * b"1"])],  # and it never ends
        [f"x-{number}: {1000 * '1'}\r\n".encode() for number in range(70)],
        [*(70 * [b"x-same: " + 1000 * b"1" + b"\r\n"]), b"\r\n"],
    ],
    ids=["one", "endless", "many", "whole"],
)
def test_headers_longer_than_64_kb_are_refused(host: RunningHost, head: list[bytes]) -> None:
    before = _too_long(host)
    with closing(_raw(host, "GET /echo/x")) as line:
        said = _said(line, *head)
    start, _, body = said.partition(b"\r\n\r\n")
    if said:  # what was still being sent may have cost the answer
        assert start.startswith(b"HTTP/1.1 431 ")
        assert b"Content-Type: application/problem+json" in start
        assert json.loads(body)["code"] == "request.head_too_long"
    assert host.send("GET", "/healthz").status == 200
    assert _too_long(host) == before + 1


def test_a_path_longer_than_64_kb_is_refused(host: RunningHost) -> None:
    before = _too_long(host)
    with closing(socket.create_connection(("127.0.0.1", host.port), timeout=20)) as line:
        assert not _said(line, b"GET /" + 70_000 * b"a" + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")
    assert _too_long(host) == before + 1


def test_trailers_longer_than_64_kb_end_the_connection(host: RunningHost) -> None:
    with closing(_raw(host, "POST /echo/x", "20")) as line:
        line.sendall(b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        assert not _said(line, *(1000 * [b"x-more: " + 1000 * b"1" + b"\r\n"]))


def test_headers_of_60_kb_and_bodies_of_any_length_are_taken(host: RunningHost) -> None:
    before = _too_long(host)
    with closing(host.connect()) as connection:
        for _ in range(3):
            headers = {**PLATFORM, "x-fc-control-path": "/http-invoke", "x-long": 60_000 * "1"}
            connection.request("POST", "/echo/x", json.dumps(200_000 * "a").encode(), headers)
            answer = connection.getresponse()
            assert answer.status != 431
            answer.read()
    assert _too_long(host) == before


def test_a_caller_who_does_not_read_is_dropped_and_the_others_go_on(host: RunningHost) -> None:
    with closing(_raw(host, "GET /large")) as line:
        line.sendall(b"\r\n")
        assert line.recv(100)
        assert host.send("GET", "/echo/x").status == 200
        host.wait_for("request.abandoned")
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(1 << 20):
                received += len(part)
        assert received < 64_000_000
