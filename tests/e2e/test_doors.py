"""Every way into a deployed local cloud, tried with every credential: each opens its own door and no other."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import oss2
import pytest
import requests
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.models import Config

from contract.gateway.signer import signed
from ops import provision
from ops.endpoints import Endpoints
from support.issuer import token
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")

APP = {"app_id": "100000001", "key": "203753385", "secret": "the-apps-secret"}
STRANGER = {"app_id": "999", "key": "203753386", "secret": "another-secret"}
FUNCTIONS = {"token": ("POST", "/v1/token"), "tts": ("GET", "/v1/voices"), "asr": ("GET", "/v1/jobs?call_id=nobody")}


@dataclass(frozen=True)
class House:
    """A local cloud with its secrets, and the traditional gateway in front of it."""

    local: Local
    route_secret: str
    app_secret: str
    traditional: str
    without_secret: str

    @property
    def consumer(self) -> dict[str, str]:
        return {"X-Consumer-Key": self.local.config["tenant"]["consumer_key"]}

    def credentials(self) -> dict[str, dict[str, str]]:
        """What opens a door, and everything that a client may forge without knowing a secret."""
        return {
            "api_key": self.local.key,
            "consumer key": self.consumer,
            "signed token": {"Authorization": f"Bearer {token(1_800_000_000)}"},
            "forged consumer": {"X-Mse-Consumer": "demo"},
            "forged consumer and secret": {"X-Mse-Consumer": "demo", "X-Route-Secret": "r" * 43},
            "forged app": {"CaAppId": "100000001"},
            "forged app and secret": {"CaAppId": "100000001", "X-App-Secret": "a" * 43},
            "wrong key": {"X-Api-Key": "k.0123456789abcdef0123456789abcdef"},
            "nothing": {},
        }


@pytest.fixture(scope="module")
def house(local: Local) -> Iterator[House]:
    config = local.config
    auth = oss2.AuthV4(config["credentials"]["access_key_id"], config["credentials"]["access_key_secret"])
    bucket = oss2.Bucket(
        auth, config["oss"]["endpoint"], config["oss"]["buckets"]["state"], region=config["oss"]["region"]
    )
    keys = json.loads(bucket.get_object("config/keys.json").read())
    secret = keys["app_secrets"][0]

    def group(**constants: str) -> str:
        apis = [
            {
                "method": method,
                "path": path.partition("?")[0],
                "function": f"speech-{name}-local",
                "mode": "pass_through",
                "apps": [APP["key"], STRANGER["key"]],
                "constants": constants,
                "system": {"CaAppId": "CaAppId"},
            }
            for name, (method, path) in FUNCTIONS.items()
        ]
        anonymous = {**apis[0], "path": "/anonymous/v1/token", "authentication": "none", "apps": []}
        body = {"apps": [APP, STRANGER], "apis": [*apis, anonymous]}
        answer = requests.post(config["admin"] + "/gateway/groups", json=body, timeout=10)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    yield House(local, keys["route_secrets"][0], secret, group(**{"X-App-Secret": secret}), group())


def _refused(answer: requests.Response) -> bool:
    return answer.status_code == 401 and answer.json()["code"] == "identity.refused"


def _call(base: str, name: str, headers: dict[str, str]) -> requests.Response:
    method, path = FUNCTIONS[name]
    return requests.request(method, base + path, headers=headers, timeout=20)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_trigger_takes_api_keys_alone(house: House, name: str) -> None:
    base = house.local.config["functions"][name]
    for kind, headers in house.credentials().items():
        answer = _call(base, name, headers)
        if kind == "api_key":
            assert answer.status_code == 200, (kind, answer.text)
        else:
            assert _refused(answer), (kind, answer.text)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_who_knows_the_routes_secret_is_the_gateway(house: House, name: str) -> None:
    base = house.local.config["functions"][name]
    marks = {"X-Mse-Consumer": "demo", "X-Route-Secret": house.route_secret}
    assert _call(base, name, marks).status_code == 200
    assert _refused(_call(base, name, {**marks, "X-Mse-Consumer": "nobody"}))
    assert _refused(_call(base, name, {**marks, **house.local.key}))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gateway_takes_its_consumers_and_lets_api_keys_pass(house: House, name: str) -> None:
    base = house.local.config["gateway"]
    for kind, headers in house.credentials().items():
        answer = _call(base, name, headers)
        if kind in {"api_key", "consumer key"}:
            assert answer.status_code == 200, (kind, answer.text)
        else:
            assert _refused(answer), (kind, answer.text)
    assert _refused(_call(base, name, {**house.consumer, **house.local.key})), "two credentials"
    assert _call(base, name, {"X-Consumer-Key": "wrong"}).status_code == 401


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_traditional_gateway_takes_its_applications_alone(house: House, name: str) -> None:
    method, path = FUNCTIONS[name]
    path, _, query = path.partition("?")
    asked = dict([query.split("=")]) if query else {}

    def ask(base: str, app: dict[str, str], **more: str) -> requests.Response:
        headers = signed(method, path, key=app["key"], secret=app["secret"], query=asked, **more)
        return requests.request(method, base + path, params=asked, headers=headers, timeout=20)

    answer = ask(house.traditional, APP)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    assert _refused(ask(house.traditional, STRANGER))
    assert _refused(ask(house.without_secret, APP)), "the constant parameter is missing"
    assert _refused(ask(house.without_secret, APP, X_App_Secret="a" * 43))
    for kind, headers in house.credentials().items():
        if kind not in {"nothing", "consumer key", "forged app", "forged app and secret"}:
            assert _refused(ask(house.traditional, APP, **headers)), kind
    assert ask(house.traditional, STRANGER, CaAppId="100000001").status_code == 401, "the gateway's own word counts"


def test_an_anonymous_caller_of_the_traditional_gateway_is_refused(house: House) -> None:
    assert requests.post(house.traditional + "/anonymous/v1/token", timeout=20).status_code in {401, 404}
    event = _event("/v1/token", CaAppId="null", **{"X-App-Secret": house.app_secret})
    assert _invoked(house, "token", event)["statusCode"] == 401


def _event(path: str, **headers: str) -> dict[str, Any]:
    return {
        "path": path,
        "httpMethod": "POST",
        "headers": headers,
        "queryParameters": {},
        "pathParameters": {},
        "body": "",
        "isBase64Encoded": False,
    }


def _invoked(house: House, name: str, event: dict[str, Any]) -> dict[str, Any]:
    """What a function answers to an event, by the invoke API: only principals of the account can call it."""
    config = house.local.config
    keys = config["credentials"]
    client = Client(
        Config(
            access_key_id=keys["access_key_id"],
            access_key_secret=keys["access_key_secret"],
            endpoint=config["fc"].removeprefix("http://"),
            protocol="http",
        )
    )
    answer = client.invoke_function(
        f"speech-{name}-local", models.InvokeFunctionRequest(body=json.dumps(event).encode(), qualifier="LATEST")
    )
    found: dict[str, Any] = json.loads(answer.body.read())
    return found


def test_the_invoke_api_needs_the_gateways_constant_too(house: House) -> None:
    right = {"CaAppId": "100000001", "X-App-Secret": house.app_secret}
    assert _invoked(house, "token", _event("/v1/token", **right))["statusCode"] == 200
    for wrong in (
        {},
        {"CaAppId": "100000001"},
        {"X-App-Secret": house.app_secret},
        {**right, "CaAppId": "null"},
        {**right, "caappid": "100000001"},
        {**right, "X-App-Secret": "a" * 43},
        {**right, **house.local.key},
        house.local.key,
        {"X-Mse-Consumer": "demo", "X-Route-Secret": house.route_secret},
    ):
        answer = _invoked(house, "token", _event("/v1/token", **wrong))
        assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, "identity.refused"), wrong


def test_provisioning_again_keeps_the_master_and_adds_what_a_key_file_lacks(house: House) -> None:
    endpoints = Endpoints.read(house.local.out / "run" / "endpoints.json")
    name = f"keys-{uuid.uuid4().hex[:12]}"
    provision.buckets(endpoints, {"keys": name})
    bucket = oss2.Bucket(
        oss2.AuthV4(endpoints.access_key_id, endpoints.access_key_secret), endpoints.oss, name, region=endpoints.region
    )
    old = {"version": 3, "master": "old", "previous": [], "webhooks": {"acme": "w" * 43}}
    bucket.put_object(provision.KEYS, json.dumps(old))
    made = provision.keys(endpoints, name)
    found = json.loads(bucket.get_object(provision.KEYS).read())
    assert {key: found[key] for key in old} == old
    assert (tuple(found["route_secrets"]), tuple(found["app_secrets"])) == (made.route, made.app)
    assert provision.keys(endpoints, name) == made, "the second time nothing is new"


@pytest.mark.parametrize("path", ["/invoke", "/initialize", "/pre-stop"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nobody_invokes_over_http(house: House, name: str, path: str) -> None:
    event = _event("/v1/token", CaAppId="100000001", **{"X-App-Secret": house.app_secret})
    base = house.local.config["functions"][name]
    assert requests.post(base + path, json=event, timeout=20).status_code == 404
    for forged in ({"x-fc-control-path": path}, {"x-fc-request-id": str(uuid.uuid4()), "X-Fc-Access-Key-Id": "LTAI"}):
        assert requests.post(base + path, json=event, headers=forged, timeout=20).status_code == 400
        assert (
            requests.post(house.local.config["gateway"] + path, json=event, headers=forged, timeout=20).status_code
            == 400
        )
