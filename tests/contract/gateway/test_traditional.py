"""The traditional API Gateway: signatures, the event, the answer.

Sources: help.aliyun.com 29475 "Request signature instructions"; 43906 "Error codes", VPC instances; 54788 "Function
Compute as backend"; 85208 "API Gateway trigger" (event, result). Its codes for stale time stamps and used nonces were
not found: assumed.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from alibabacloud_fc20230330 import models

from contract.gateway.signer import signed
from localcloud import gateway
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import FunctionCompute
from support.fc_lab import Lab, make_zip

# An event function that answers with the event it got, or with the result that the event's body asks for.
SOURCE = """
import http.server, json, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments): pass
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = event["body"] if event["body"].startswith("!") else ""
        result = asked[1:] or json.dumps({"isBase64Encoded": False, "statusCode": "200",
                                          "headers": {"Content-Type": "application/json"}, "body": event})
        if asked == "!sleep":
            time.sleep(3)
        if asked == "!fail":
            self.answer(404, b"{}", [("x-fc-status", "404")])
        else:
            self.answer(200, result.encode(), [])
    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["FC_CUSTOM_LISTEN_PORT"])), Handler).serve_forever()
"""
APP = {"app_id": "1001", "key": "203753385", "secret": "the-apps-secret"}
OTHER = {"app_id": "1002", "key": "203753386", "secret": "another-secret"}
KEYS = {"key": "203753385", "secret": "the-apps-secret"}
SYSTEM = {name: name for name in ("CaAppId", "CaRequestId", "CaClientIp", "CaStage")}
COMMON = {
    "function": "legacy",
    "apps": [APP["key"]],
    "system": SYSTEM,
    "constants": {"X-Gateway-Secret": "constant-of-the-api"},
}
APIS = [
    {**COMMON, "method": "POST", "path": "/v1/things/[id]", "parameters": ["X-Known", "known"]},
    {**COMMON, "method": "ANY", "path": "/through/*", "mode": "pass_through"},
    {**COMMON, "method": "GET", "path": "/open", "authentication": "none"},
    {**COMMON, "method": "GET", "path": "/bare", "authentication": "none", "mode": "pass_through", "system": {}},
    {**COMMON, "method": "POST", "path": "/raw", "authentication": "none"},
    {**COMMON, "method": "POST", "path": "/quick", "authentication": "none", "timeout_ms": 200},
    {**COMMON, "method": "GET", "path": "/gone", "authentication": "none", "function": "nobody"},
    {**COMMON, "method": "GET", "path": "/test-only", "authentication": "none", "stages": ["TEST"]},
]


@dataclass
class Old:
    """A group's address and its clients."""

    url: str
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        """Status, headers, and the body (decoded where it is JSON)."""
        async with self.http.request(method, self.url + path, **options) as answer:
            body = await answer.read()
            assert answer.headers["X-Ca-Request-Id"]
            is_json = answer.content_type == "application/json"
            return answer.status, answer.headers, json.loads(body) if is_json else body

    async def refusal(self, method: str, path: str, **options: Any) -> tuple[int, str, str]:
        status, headers, _ = await self.ask(method, path, **options)
        return status, headers["X-Ca-Error-Code"], headers["X-Ca-Error-Message"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def old(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Old]:
    root: Path = tmp_path_factory.mktemp("traditional")
    clock, faults = Clock(), Faults()
    account = Account(clock)
    fc = FunctionCompute(root / "fc", account, faults, clock, root / "logs", freeze=False)
    runners = []

    async def serve(app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"127.0.0.1:{runner.addresses[0][1]}"

    control = await serve(fc.control_app())
    admin = await serve(gateway.Desk(clock, fc).at(web.Application()))
    async with aiohttp.ClientSession(skip_auto_headers=("Content-Type",)) as http:
        lab = Lab(fc, account, faults, clock, control, root, http, root / "notes.jsonl")
        await lab.create_function("legacy", code=models.InputCodeLocation(zip_file=make_zip({"main.py": SOURCE})))
        async with http.post(f"http://{admin}/gateway/groups", json={"apps": [APP, OTHER], "apis": APIS}) as answer:
            assert answer.status == 201, await answer.text()
            url = (await answer.json())["url"]
        yield Old(url, http)
    for runner in runners:
        await runner.cleanup()
    await fc.close()


THING = "/v1/things/7"
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_signed_call_becomes_the_documented_event(old: Old) -> None:
    body = '{"text": "您好"}'.encode()
    headers = signed("POST", THING, query={"known": "1", "more": "2"}, body=body, X_Ca_Stage="RELEASE", **KEYS)
    status, _, event = await old.ask(
        "POST", THING, params={"known": "1", "more": "2"}, data=body, headers={**headers, "X-Known": "k"}
    )
    assert status == 200
    assert set(event) == {
        "path", "httpMethod", "headers", "queryParameters", "pathParameters", "body", "isBase64Encoded",
    }  # fmt: skip
    assert (event["path"], event["httpMethod"], event["pathParameters"]) == (THING, "POST", {"id": "7"})
    assert (event["body"], event["isBase64Encoded"]) == (body.decode(), False)
    assert event["headers"]["CaAppId"] == "1001"
    assert event["headers"]["CaStage"] == "RELEASE"
    assert event["headers"]["CaClientIp"] == "127.0.0.1"
    assert event["headers"]["CaRequestId"] == event["headers"]["X-Ca-Api-Gateway"]
    assert event["headers"]["X-Gateway-Secret"] == "constant-of-the-api"
    assert event["headers"]["X-Known"] == "k"


async def test_filtering_drops_what_is_not_defined(old: Old) -> None:
    headers = signed("POST", THING, query={"known": "1", "more": "2"}, **KEYS)
    _, _, event = await old.ask(
        "POST", THING, params={"known": "1", "more": "2"}, headers={**headers, "X-Unknown": "u", "Cookie": "c=1"}
    )
    assert event["queryParameters"] == {"known": "1"}
    assert not {"X-Unknown", "Cookie"} & set(event["headers"])


async def test_passing_through_keeps_what_is_not_defined(old: Old) -> None:
    headers = signed("GET", "/through/a/b", query={"more": "2"}, **KEYS)
    _, _, event = await old.ask("GET", "/through/a/b", params={"more": "2"}, headers={**headers, "X-Unknown": "u"})
    assert event["queryParameters"] == {"more": "2"}
    assert event["headers"]["X-Unknown"] == "u"


async def test_nobody_can_send_what_the_gateway_says_of_a_caller(old: Old) -> None:
    forged = {
        "caappid": "1001", "X-GATEWAY-SECRET": "guess", "CaClientIp": "10.0.0.1", "x-fc-request-id": "r",
    }  # fmt: skip
    for method, path in (("GET", "/through/x"), ("POST", THING)):
        _, _, event = await old.ask(method, path, headers={**signed(method, path, **KEYS), **forged})
        folded = [name.lower() for name in event["headers"]]
        assert len(folded) == len(set(folded))
        assert event["headers"]["CaAppId"] == "1001"
        assert event["headers"]["CaClientIp"] == "127.0.0.1"
        assert event["headers"]["X-Gateway-Secret"] == "constant-of-the-api"
        assert "x-fc-request-id" not in folded


async def test_an_anonymous_caller_is_the_string_null(old: Old) -> None:
    _, _, event = await old.ask("GET", "/open", headers={"CaAppId": "1001"})
    assert event["headers"]["CaAppId"] == "null"


async def test_without_system_parameters_passing_through_lets_a_forged_one_pass(old: Old) -> None:
    """An unknown parameter is what it then is: why functions want the secret constant and the filter."""
    _, _, event = await old.ask("GET", "/bare", headers={"CaAppId": "1001", "X-Gateway-Secret": "guess"})
    assert event["headers"]["CaAppId"] == "1001"
    assert event["headers"]["X-Gateway-Secret"] == "constant-of-the-api"


async def test_bytes_that_are_no_text_come_as_base64(old: Old) -> None:
    _, _, event = await old.ask("POST", "/raw", data=b"\xff\x00\xfe")
    assert (event["body"], event["isBase64Encoded"]) == ("/wD+", True)


@pytest.mark.parametrize("algorithm", ["HmacSHA256", "HmacSHA1"])
async def test_forms_and_empty_values_are_signed(old: Old, algorithm: str) -> None:
    form = {"b": "x y", "empty": ""}
    headers = signed("POST", THING, form=form, query={"a": "1"}, algorithm=algorithm, **KEYS)
    status, _, event = await old.ask("POST", THING, params={"a": "1"}, data=form, headers=headers)
    assert (status, event["body"]) == (200, "b=x+y&empty=")


async def test_a_wrong_signature_is_403_and_tells_the_servers_string(old: Old) -> None:
    headers = signed("POST", THING, key=APP["key"], secret="wrong")
    status, code, told = await old.refusal("POST", THING, headers=headers)
    assert (status, code) == (403, "A403IS")
    assert told.startswith("Invalid Signature, Server StringToSign:`POST#application/json####X-Ca-Key:203753385#")


async def test_a_changed_request_does_not_match_its_signature(old: Old) -> None:
    headers = signed("POST", THING, query={"a": "1"}, body=b"{}", **KEYS)
    assert (await old.refusal("POST", THING, params={"a": "2"}, data=b"{}", headers=headers))[1] == "A403IS"
    assert (await old.refusal("POST", "/v1/things/8", params={"a": "1"}, data=b"{}", headers=headers))[1] == "A403IS"
    assert (await old.refusal("POST", THING, params={"a": "1"}, data=b"[]", headers=headers))[1] == "I400HD"


async def test_keys_that_are_missing_unknown_or_not_authorised_are_refused(old: Old) -> None:
    assert (await old.refusal("POST", THING))[:2] == (400, "A400MA")
    stranger = signed("POST", THING, key="1", secret="s")
    assert (await old.refusal("POST", THING, headers=stranger))[:2] == (400, "A400IK")
    assert (await old.refusal("POST", THING, headers={"X-Ca-Key": APP["key"]}))[:2] == (400, "I400MH")
    other = signed("POST", THING, key=OTHER["key"], secret=OTHER["secret"])
    assert (await old.refusal("POST", THING, headers=other))[:2] == (403, "I403AA")


@pytest.mark.parametrize("minutes", [-16, 16])
async def test_a_timestamp_is_good_for_fifteen_minutes(old: Old, minutes: int) -> None:
    stamp = str(int((time.time() + minutes * 60) * 1000))
    headers = signed("POST", THING, X_Ca_Timestamp=stamp, **KEYS)
    assert (await old.refusal("POST", THING, headers=headers))[1] == "I400HD"
    near = str(int((time.time() + minutes * 55) * 1000))
    assert (await old.ask("POST", THING, headers=signed("POST", THING, X_Ca_Timestamp=near, **KEYS)))[0] == 200


async def test_a_nonce_serves_once_and_only_a_right_signature_uses_it(old: Old) -> None:
    bad = signed("POST", THING, X_Ca_Nonce="n-1", key=APP["key"], secret="wrong")
    assert (await old.refusal("POST", THING, headers=bad))[1] == "A403IS"
    headers = signed("POST", THING, X_Ca_Nonce="n-1", **KEYS)
    assert (await old.ask("POST", THING, headers=headers))[0] == 200
    status, code, told = await old.refusal("POST", THING, headers=headers)
    assert (status, code, told) == (400, "I400HD", "Invalid Header `X-Ca-Nonce` was used before")


async def test_what_is_not_there_is_404_and_stages_are_apart(old: Old) -> None:
    assert (await old.refusal("GET", "/nowhere"))[:2] == (404, "I404NF")
    assert (await old.refusal("GET", THING))[:2] == (404, "I404NF")
    assert (await old.refusal("GET", "/test-only"))[:2] == (404, "I404NF")
    assert (await old.ask("GET", "/test-only", headers={"X-Ca-Stage": "TEST"}))[0] == 200
    assert (await old.refusal("GET", "/open", headers={"X-Ca-Stage": "DEV"}))[:2] == (400, "I400SG")


async def test_a_result_becomes_the_answer(old: Old) -> None:
    result = {
        "isBase64Encoded": "true",
        "statusCode": 418,
        "headers": {"X-Own": "1", "Transfer-Encoding": "chunked", "Content-Type": "audio/wav"},
        "body": "/wD+",
    }
    status, headers, body = await old.ask("POST", "/raw", data="!" + json.dumps(result))
    assert (status, headers["X-Own"], headers["Content-Type"], body) == (418, "1", "audio/wav", b"\xff\x00\xfe")
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    "result",
    [
        "!not json",
        "![]",
        '!{"body": "no status"}',
        '!{"statusCode": "abc"}',
        '!{"statusCode": 200, "headers": {"A": "1\\r\\nB: 2"}}',
        '!{"statusCode": 200, "isBase64Encoded": true, "body": "*"}',
        "!fail",
    ],
)
async def test_a_result_of_another_form_is_502(old: Old, result: str) -> None:
    assert (await old.refusal("POST", "/raw", data=result))[:2] == (502, "D502FC")


async def test_a_function_that_is_not_there_is_502(old: Old) -> None:
    assert (await old.refusal("GET", "/gone"))[:2] == (502, "D502FC")


async def test_a_function_that_takes_too_long_is_504(old: Old) -> None:
    assert (await old.refusal("POST", "/quick", data="!sleep"))[:2] == (504, "D504TO")
