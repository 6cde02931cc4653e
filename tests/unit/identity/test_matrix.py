"""Every door of the three applications, behind the host, with every other door's credential and with forged ones."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from functions.leases import app as leases
from functions.prompts import app as prompts
from functions.transcripts import app as transcripts
from isikit.host import Host, make_app
from isikit.identity import doors
from support import asgi
from support.house import API_KEY, APP_SECRET, JWKS_URL, OTHER_API_KEY, ROUTE_SECRET, House
from support.issuer import key_set, token

ROUTES = {
    "leases": ("POST", "/v1/token"),
    "prompts": ("GET", "/v1/voices"),
    "transcripts": ("GET", "/v1/jobs?call_id=nobody"),
}
INVOKED = {"x-fc-control-path": "/invoke"}


def _host(name: str, house: House) -> Host:
    """The real application of a function, whose collaborators end at the doors: what comes after them is a 500."""
    behind = cast(Any, SimpleNamespace(doors=house.doors))
    if name == "transcripts":
        return Host(transcripts.application(lambda: behind))
    module = {"leases": leases, "prompts": prompts}[name]
    return Host(make_app(module.routes(lambda: behind)))


@pytest.fixture
def issued(house: House) -> House:
    house.documents[JWKS_URL] = key_set()
    return house


def _credentials(house: House) -> dict[str, dict[str, str]]:
    signed = token(house.clock.now())
    return {
        "api key": {"X-Api-Key": API_KEY},
        "token": {"Authorization": f"Bearer {signed}"},
        "own token": {"X-Authorization": f"Bearer {signed}"},
        "consumer": {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": ROUTE_SECRET},
    }


FORGED = {
    "nothing": {},
    "consumer alone": {"X-Mse-Consumer": "acme-gw"},
    "consumer with the other gateway's secret": {"X-Mse-Consumer": "acme-gw", "X-Route-Secret": APP_SECRET},
    "application": {"CaAppId": "1001"},
    "application with its secret": {"CaAppId": "1001", "X-App-Secret": APP_SECRET},
    "application with the other gateway's secret": {"CaAppId": "1001", "X-Route-Secret": ROUTE_SECRET},
    "key as token": {"Authorization": f"Bearer {API_KEY}"},
    "key as basic": {"Authorization": f"Basic {API_KEY}"},
    "key as consumer": {"X-Mse-Consumer": API_KEY, "X-Route-Secret": ROUTE_SECRET},
    "consumer as key": {"X-Api-Key": f"acme-gw.{ROUTE_SECRET}"},
    "application as key": {"X-Api-Key": f"1001.{APP_SECRET}"},
    "key of another with this id": {"X-Api-Key": "k1." + OTHER_API_KEY.partition(".")[2]},
    "the platform's headers": {"X-Fc-Account-Id": "1", "X-Fc-Access-Key-Id": "LTAI", "X-Fc-Client-Ip": "127.0.0.1"},
}


async def _ask(house: House, name: str, headers: dict[str, str]) -> asgi.Answer:
    method, path = ROUTES[name]
    return await asgi.call(_host(name, house), method, path, headers=headers)


def _unnumbered(answer: asgi.Answer) -> dict[str, str]:
    """The headers, without the request's own number."""
    return {name: value for name, value in answer.headers.items() if "request-id" not in name}


def _is_refused(answer: asgi.Answer) -> bool:
    return (answer.status, answer.json()["code"]) == (401, "identity.refused")


@pytest.mark.parametrize("name", ROUTES)
async def test_each_credential_opens_its_door(issued: House, name: str) -> None:
    for kind, headers in _credentials(issued).items():
        assert not _is_refused(await _ask(issued, name, headers)), kind


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("kind", FORGED)
async def test_what_is_forged_is_refused_with_the_same_words(issued: House, name: str, kind: str) -> None:
    plain = await _ask(issued, name, {})
    answer = await _ask(issued, name, FORGED[kind])
    assert _is_refused(answer)
    said, usual = answer.json(), plain.json()
    said.pop("request_id"), usual.pop("request_id")
    assert said == usual
    assert _unnumbered(answer) == _unnumbered(plain)


@pytest.mark.parametrize("name", ROUTES)
async def test_two_credentials_are_refused_though_each_is_right(issued: House, name: str) -> None:
    known = _credentials(issued)
    for first in known:
        for second in known:
            both = known[first] | known[second]
            # What a proved consumer's gateway leaves in Authorization is no second credential: the gateway judged it.
            if first != second and {first, second} != {"consumer", "token"}:
                assert _is_refused(await _ask(issued, name, both)), (first, second)


def _event(name: str, headers: dict[str, str]) -> bytes:
    method, target = ROUTES[name]
    path, _, query = target.partition("?")
    parameters = dict(one.split("=") for one in query.split("&")) if query else {}
    return json.dumps(
        {"path": path, "httpMethod": method, "headers": headers, "queryParameters": parameters, "pathParameters": {},
         "body": "", "isBase64Encoded": False}
    ).encode()  # fmt: skip


async def _invoke(house: House, name: str, headers: dict[str, str], control: dict[str, str] = INVOKED) -> asgi.Answer:
    return await asgi.call(_host(name, house), "POST", "/invoke", headers=control, body=_event(name, headers))


RIGHT = {"CaAppId": "1001", "X-App-Secret": APP_SECRET}


@pytest.mark.parametrize("name", ROUTES)
async def test_the_traditional_gateways_event_opens_its_door_alone(issued: House, name: str) -> None:
    answer = await _invoke(issued, name, RIGHT)
    assert answer.status == 200
    assert answer.json()["statusCode"] != 401
    others = [
        *_credentials(issued).values(),
        *(one for kind, one in FORGED.items() if kind != "application with its secret"),
    ]
    for headers in [*others, *(RIGHT | one for one in _credentials(issued).values())]:
        packed = (await _invoke(issued, name, headers)).json()
        assert packed["statusCode"] == 401, headers
        assert json.loads(packed["body"])["code"] == "identity.refused"


@pytest.mark.parametrize("name", ROUTES)
async def test_the_event_counts_only_where_the_platform_says_it_is_one(issued: House, name: str) -> None:
    forged = await _invoke(issued, name, RIGHT, control={})
    assert forged.status == 404
    as_http = await _invoke(issued, name, RIGHT, control={"x-fc-control-path": "/http-invoke"})
    assert as_http.status == 404


async def test_every_refusal_takes_the_same_time(issued: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "time", SimpleNamespace(monotonic=lambda: 5.0))
    for headers in [*FORGED.values(), {"X-Api-Key": "k9." + "x" * 43}, {"Authorization": "Bearer a.b.c"}]:
        await _ask(issued, "leases", headers)
    await _invoke(issued, "leases", {"CaAppId": "null"})
    assert issued.pauses == pytest.approx([0.02] * (len(FORGED) + 3)), "waited out to 20 ms from its beginning"
