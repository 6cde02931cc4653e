"""Tokens of a tenant's own issuer, from its web server on loopback to a deployed function's answer."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from support.issuer import assembled, token
from support.local_cloud import Local
from support.login import AUDIENCE, ISSUER, SILENT_ISSUER, Login

pytestmark = pytest.mark.xdist_group("e2e")

CALLS = {"token": ("POST", "/v1/token"), "tts": ("GET", "/v1/voices"), "asr": ("GET", "/v1/jobs?call_id=nobody")}


def ask(base: str, function: str, signed: str, header: str = "Authorization") -> requests.Response:
    method, path = CALLS[function]
    return requests.request(method, base + path, headers={header: f"Bearer {signed}"}, timeout=20)


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("function", CALLS)
def test_a_signed_token_opens_every_function_through_the_gateway_and_at_the_trigger(
    local: Local, login: Login, function: str, kind: str
) -> None:
    signed = login.token(kind=kind)
    for base in (local.config["gateway"], local.config["functions"][function]):
        for header in ("Authorization", "X-Authorization"):
            answer = ask(base, function, signed, header)
            assert answer.status_code == 200, (base, header, answer.text)
            if function == "token":
                assert answer.json()["tenant"] == "staff"


def test_many_tokens_at_once_ask_the_issuer_hardly_ever(local: Local, login: Login) -> None:
    assert ask(local.config["gateway"], "token", login.token()).status_code == 200
    before = login.asked
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda number: ask(
                    local.config["gateway"], "token", login.token(headers={"kid": f"invented-{number}"})
                ),
                range(16),
            )
        )
    assert {answer.status_code for answer in answers} == {401}
    instances = requests.get(local.config["admin"] + "/instances", timeout=10).json()
    assert login.asked - before <= sum("token" in one["function"] for one in instances), "once a minute at most"


WRONG = {
    "over for ten minutes": lambda login: login.token(exp=int(time.time()) - 600),
    "from a clock that is ten minutes ahead": lambda login: login.token(nbf=int(time.time()) + 600),
    "for another audience": lambda login: login.token(aud="others"),
    "of another issuer": lambda login: login.token(iss="https://issuer.example.com"),
    "that claims another tenant's name": lambda login: login.token(aud="demo", tenant="demo"),
    "signed by a stranger": lambda login: login.token(kind="stranger", headers={"kid": "RS256"}),
    "without an end": lambda login: login.token(exp=None),
    "of another type": lambda login: login.token(headers={"typ": "secevent+jwt"}),
    "without a signature": lambda _: assembled(
        {"alg": "none", "typ": "JWT", "kid": "RS256"},
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 600},
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_that_is_wrong_gets_the_answer_of_no_credential_at_all(local: Local, login: Login, what: str) -> None:
    answer = ask(local.config["gateway"], "token", WRONG[what](login))
    nothing = requests.post(local.config["gateway"] + "/v1/token", timeout=20)
    assert answer.status_code == 401, answer.text
    said, usual = answer.json(), nothing.json()
    said.pop("request_id"), usual.pop("request_id")
    assert said == usual


def test_a_minute_of_clock_skew_is_forgiven(local: Local, login: Login) -> None:
    for claims in ({"exp": int(time.time()) - 30}, {"nbf": int(time.time()) + 30}):
        assert ask(local.config["gateway"], "token", login.token(**claims)).status_code == 200, claims


def test_an_issuer_whose_keys_cannot_be_had_is_no_refusal(local: Local) -> None:
    signed = token(time.time(), iss=SILENT_ISSUER, aud=AUDIENCE)
    answer = ask(local.config["gateway"], "token", signed)
    assert (answer.status_code, answer.json()["code"]) == (503, "identity.issuer_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
