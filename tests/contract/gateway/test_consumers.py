"""Consumers of the cloud-native gateway.

Sources: alibabacloud.com/help, Cloud-native API Gateway, "Manage consumers" (the three kinds, where an API key may be),
"Consumer authentication and authorization" (deny by default, `uid` names the consumer of a JWT), "hmac-auth"; texts and
statuses from the plug-ins' open source (alibaba/higress, plugins/wasm-cpp/extensions/{key,jwt,hmac}_auth).
"""

from __future__ import annotations

import base64
import io
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from contract.gateway.conftest import Door
from contract.gateway.signer import signed

ROUTE = {"name": "all", "prefix": "/", "allow": ["acme"], "secrets": ["first-secret"]}
PATH = "/v1/prompts"


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def rsa_jwk(key: rsa.RSAPrivateKey) -> dict[str, str]:
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": "r1", "alg": "RS256", "n": number(public.n), "e": number(public.e)}


def token(key: Any, claims: dict[str, Any], **header: Any) -> str:
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    head = b64(json.dumps({"alg": algorithm, "typ": "JWT", **header}).encode())
    signed_text = f"{head}.{b64(json.dumps(claims).encode())}"
    if isinstance(key, rsa.RSAPrivateKey):
        mark = key.sign(signed_text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(key.sign(signed_text.encode(), ec.ECDSA(hashes.SHA256())))
        mark = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{signed_text}.{b64(mark)}"


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def claims(**more: Any) -> dict[str, Any]:
    return {"uid": "acme", "iss": "issuer", "exp": int(time.time()) + 600, **more}


async def with_api_key(door: Door, **route: Any) -> None:
    await door.tell("/gateway/consumers", {"name": "acme", "api_key": "key-of-acme"})
    await door.tell("/gateway/routes", {**ROUTE, "methods": ["api_key"], **route})


async def test_an_api_key_becomes_a_name_and_the_routes_secret(door: Door) -> None:
    await with_api_key(door)
    assert await door.ask(headers=bearer("key-of-acme")) == (200, "through")
    assert door.seen[0].headers["X-Mse-Consumer"] == "acme"
    assert door.seen[0].headers["X-Route-Secret"] == "first-secret"


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ({"in": "header", "name": "X-Own-Key"}, {"headers": {"x-own-key": "key-of-acme"}}),
        ({"in": "query", "name": "apikey"}, {"params": {"apikey": "key-of-acme"}}),
    ],
)
async def test_an_api_key_may_come_in_a_header_or_the_query(
    door: Door, source: dict[str, str], options: dict[str, Any]
) -> None:
    await with_api_key(door)
    await door.tell("/gateway/consumers", {"name": "acme", "api_key": "key-of-acme", "source": source})
    assert (await door.ask(**options))[0] == 200
    assert await door.ask(headers=bearer("key-of-acme")) == (
        401,
        "Request denied by Key Auth check. No API key found in request",
    )


async def test_wrong_missing_and_double_api_keys_are_401(door: Door) -> None:
    await with_api_key(door)
    await door.tell(
        "/gateway/consumers", {"name": "other", "api_key": "k2", "source": {"in": "query", "name": "apikey"}}
    )
    begin = "Request denied by Key Auth check. "
    assert await door.ask() == (401, begin + "No API key found in request")
    assert await door.ask(headers=bearer("key-of-nobody")) == (401, begin + "Invalid API key")
    both = await door.ask(headers=bearer("key-of-acme"), params={"apikey": "k2"})
    assert both == (401, begin + "Multi API key found in request")
    async with door.http.get(door.url) as answer:
        assert answer.headers["WWW-Authenticate"] == "Key realm=MSE Gateway"
    assert door.seen == []


async def test_who_is_not_authorised_on_the_route_is_403(door: Door) -> None:
    """Authentication without authorisation lets nobody in: "by default all requests are refused"."""
    await with_api_key(door, allow=[])
    assert await door.ask(headers=bearer("key-of-acme")) == (
        403,
        "Request denied by Key Auth check. Unauthorized consumer",
    )


async def test_rs256_and_es256_tokens_name_their_consumer(door: Door, rsa_key: rsa.RSAPrivateKey) -> None:
    es_key = ec.generate_private_key(ec.SECP256R1())
    point = es_key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}
    await door.tell(
        "/gateway/consumers",
        {"name": "acme", "jwt": {"jwks": {"keys": [rsa_jwk(rsa_key), jwk]}, "issuer": "issuer"}},
    )
    await door.tell("/gateway/routes", {**ROUTE, "methods": ["jwt"]})
    for value in (token(rsa_key, claims(), kid="r1"), token(es_key, claims())):
        assert (await door.ask(headers=bearer(value)))[0] == 200
        assert door.seen[-1].headers["X-Mse-Consumer"] == "acme"


async def test_tokens_that_prove_nothing_are_401(door: Door, rsa_key: rsa.RSAPrivateKey) -> None:
    await door.tell(
        "/gateway/consumers", {"name": "acme", "jwt": {"jwks": {"keys": [rsa_jwk(rsa_key)]}, "issuer": "issuer"}}
    )
    await door.tell("/gateway/routes", {**ROUTE, "methods": ["jwt"]})
    stranger = rsa.generate_private_key(65537, 2048)
    good = token(rsa_key, claims())
    head, payload, mark = good.split(".")
    unsigned = b64(json.dumps({"alg": "none"}).encode())
    by_secret = b64(json.dumps({"alg": "HS256"}).encode())
    refused = {
        "another key": token(stranger, claims()),
        "another issuer": token(rsa_key, claims(iss="someone")),
        "another name": token(rsa_key, claims(uid="nobody")),
        "another kid": token(rsa_key, claims(), kid="r2"),
        "changed claims": f"{head}.{b64(json.dumps(claims(exp=1 << 33)).encode())}.{mark}",
        "no algorithm": f"{unsigned}.{payload}.",
        "a symmetric algorithm": f"{by_secret}.{payload}.{mark}",
        "no expiry": token(rsa_key, {"uid": "acme", "iss": "issuer"}),
        "not yet": token(rsa_key, claims(nbf=int(time.time()) + 600)),
        "no token": "a.b.c",
    }
    for what, value in refused.items():
        assert await door.ask(headers=bearer(value)) == (401, "Jwt verification fails"), what
    assert await door.ask() == (401, "Jwt missing")
    assert door.seen == []


async def test_a_token_ends_with_its_expiry_and_a_minute(door: Door, rsa_key: rsa.RSAPrivateKey) -> None:
    await door.tell("/gateway/consumers", {"name": "acme", "jwt": {"jwks": {"keys": [rsa_jwk(rsa_key)]}}})
    await door.tell("/gateway/routes", {**ROUTE, "methods": ["jwt"]})
    value = token(rsa_key, claims(exp=int(time.time()) + 100))
    door.clock.move(130)
    assert (await door.ask(headers=bearer(value)))[0] == 200
    door.clock.move(60)
    assert await door.ask(headers=bearer(value)) == (401, "Jwt expired")
    await door.tell("/gateway/routes", {**ROUTE, "methods": ["jwt"], "allow": ["other"]})
    assert await door.ask(headers=bearer(token(rsa_key, claims()))) == (403, "Access Denied")


async def with_hmac(door: Door, **route: Any) -> None:
    await door.tell("/gateway/consumers", {"name": "acme", "hmac": {"key": "appKey-1", "secret": "appSecret-1"}})
    await door.tell("/gateway/routes", {**ROUTE, "methods": ["hmac"], **route})


HMAC = {"key": "appKey-1", "secret": "appSecret-1", "lower": True}


@pytest.mark.parametrize("algorithm", ["HmacSHA256", "HmacSHA1"])
async def test_a_signed_request_names_its_consumer_and_keeps_its_body(door: Door, algorithm: str) -> None:
    await with_hmac(door)
    body = '{"text": "您好"}'.encode()
    headers = signed("POST", PATH, query={"b": "2", "a": "一"}, body=body, algorithm=algorithm, **HMAC)  # type: ignore[arg-type]
    answer = await door.ask("POST", PATH, params={"b": "2", "a": "一"}, data=body, headers=headers)
    assert answer == (200, "through")
    assert door.bodies == [body]
    assert door.seen[0].headers["X-Mse-Consumer"] == "acme"


async def test_a_signed_form_is_signed_with_its_parameters(door: Door) -> None:
    await with_hmac(door)
    form = {"text": "hello world", "empty": ""}
    headers = signed("POST", PATH, form=form, **HMAC)  # type: ignore[arg-type]
    assert (await door.ask("POST", PATH, data=form, headers=headers))[0] == 200
    headers = signed("POST", PATH, form=form, **HMAC)  # type: ignore[arg-type]
    assert await door.ask("POST", PATH, data={**form, "text": "bye"}, headers=headers) == (400, "Invalid Signature")


async def test_a_wrong_signature_is_400_with_what_the_gateway_signed(door: Door) -> None:
    """ "The gateway puts its StringToSign into X-Ca-Error-Message, line ends as #"."""
    await with_hmac(door)
    headers = signed("GET", PATH, **{**HMAC, "secret": "wrong"})  # type: ignore[arg-type]
    async with door.http.get(door.url + PATH, headers=headers) as answer:
        assert (answer.status, await answer.text()) == (400, "Invalid Signature")
        told = answer.headers["X-Ca-Error-Message"]
    assert told.startswith("Server StringToSign:`GET#application/json####x-ca-key:appKey-1#x-ca-nonce:")
    assert told.endswith(f"#{PATH}`")
    assert "appSecret" not in told


async def test_unknown_keys_missing_signatures_and_changed_bodies_are_refused(door: Door) -> None:
    await with_hmac(door)
    stranger = signed("GET", PATH, **{**HMAC, "key": "nobody"})  # type: ignore[arg-type]
    assert await door.ask(headers=stranger) == (401, "Invalid Key")
    assert await door.ask() == (401, "Invalid Key")
    assert await door.ask(headers={"X-Ca-Key": "appKey-1"}) == (401, "Empty Signature")
    changed = signed("POST", PATH, body=b"{}", **HMAC)  # type: ignore[arg-type]
    assert await door.ask("POST", PATH, data=b"[]", headers=changed) == (400, "Invalid Content-MD5")
    await with_hmac(door, allow=["other"])
    fine = signed("GET", PATH, **HMAC)  # type: ignore[arg-type]
    assert await door.ask(headers=fine) == (403, "Unauthorized Consumer")
    assert door.seen == []


async def test_a_body_too_large_to_be_signed_is_413(door: Door) -> None:
    await with_hmac(door)
    answer = await door.ask("POST", PATH, data=io.BytesIO(bytes(32 * 1024**2 + 1)), headers={"X-Ca-Key": "appKey-1"})
    assert answer == (413, "Request Body Too Large")


async def test_the_date_counts_where_the_route_says_so(door: Door) -> None:
    old = str(int((time.time() - 120) * 1000))
    await with_hmac(door)
    assert (await door.ask(headers=signed("GET", PATH, X_Ca_Timestamp=old, **HMAC)))[0] == 200  # type: ignore[arg-type]
    await with_hmac(door, date_offset_seconds=60)
    for stamp in (old, "yesterday"):
        headers = signed("GET", PATH, X_Ca_Timestamp=stamp, **HMAC)  # type: ignore[arg-type]
        assert await door.ask(headers=headers) == (400, "Invalid Date")
    assert (await door.ask(headers=signed("GET", PATH, **HMAC)))[0] == 200  # type: ignore[arg-type]


@pytest.mark.parametrize("route", [None, "off", "optional"])
async def test_no_client_can_send_the_gateways_marks(door: Door, route: str | None) -> None:
    """Whoever presents no credential arrives without a name, whatever it sent itself."""
    if route is not None:
        await door.tell("/gateway/routes", {**ROUTE, "authentication": route, "secrets": []})
    forged = {"X-Mse-Consumer": "acme", "x-route-secret": "first-secret", "X_Mse_Consumer": "acme"}
    assert (await door.ask(headers={**forged, "X-Api-Key": "id.secret"}))[0] == 200
    arrived = {name.lower() for name in door.seen[0].headers}
    assert not arrived & {"x-mse-consumer", "x-route-secret", "x_mse_consumer"}
    assert door.seen[0].headers["X-Api-Key"] == "id.secret"


async def test_marks_are_the_gateways_even_beside_forged_ones(door: Door) -> None:
    await with_api_key(door)
    headers = {**bearer("key-of-acme"), "X-Mse-Consumer": "root", "X-Route-Secret": "guess"}
    assert (await door.ask(headers=headers))[0] == 200
    assert door.seen[0].headers.getall("X-Mse-Consumer") == ["acme"]
    assert door.seen[0].headers.getall("X-Route-Secret") == ["first-secret"]
    assert (await door.ask(headers={**headers, "x-fc-control-path": "/invoke"}))[0] == 400


async def test_while_a_secret_is_rotated_both_values_come(door: Door) -> None:
    await with_api_key(door, secrets=["first-secret", "second-secret"])
    for _ in range(4):
        assert (await door.ask(headers=bearer("key-of-acme")))[0] == 200
    assert {request.headers["X-Route-Secret"] for request in door.seen} == {"first-secret", "second-secret"}


async def test_optional_authentication_refuses_what_is_presented_and_wrong(door: Door) -> None:
    await with_api_key(door, authentication="optional")
    assert (await door.ask())[0] == 200
    assert "X-Mse-Consumer" not in door.seen[0].headers
    assert (await door.ask(headers=bearer("wrong")))[0] == 401


async def test_the_longest_prefix_is_the_route_and_ends_at_a_slash(door: Door) -> None:
    await door.tell("/gateway/routes", {"name": "open", "prefix": "/", "authentication": "off"})
    await door.tell("/gateway/routes", {**ROUTE, "name": "closed", "prefix": "/v1/token"})
    statuses = {
        path: (await door.ask(path=path))[0] for path in ("/v1/token", "/v1/token/x", "/v1/tokens", "/v1/%74oken")
    }
    assert statuses == {"/v1/token": 401, "/v1/token/x": 401, "/v1/tokens": 200, "/v1/%74oken": 401}


async def test_consumers_and_routes_can_be_taken_away(door: Door) -> None:
    await with_api_key(door)
    for path, status in (("/gateway/consumers/acme", 204), ("/gateway/consumers/acme", 404)):
        async with door.http.delete(door.admin + path) as answer:
            assert answer.status == status
    assert (await door.ask(headers=bearer("key-of-acme")))[0] == 401
    async with door.http.delete(door.admin + "/gateway/routes/all"):
        assert (await door.ask())[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("consumers", {"name": "a"}),
        ("consumers", {"name": "a", "api_key": "k", "hmac": {"key": "k", "secret": "s"}}),
        ("consumers", {"name": "a", "api_key": ""}),
        ("consumers", {"name": "a b", "api_key": "k"}),
        ("consumers", {"name": "a", "api_key": "k", "source": {"in": "cookie"}}),
        ("consumers", {"name": "a", "jwt": {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}}),
        ("consumers", {"name": "a", "jwt": {"jwks": {"keys": []}}}),
        ("routes", {"name": "a", "prefix": "v1"}),
        ("routes", {"name": "a", "prefix": "/", "secrets": ["1", "2", "3"]}),
        ("routes", {"name": "a", "prefix": "/", "secrets": ["a\r\nX: 1"]}),
        ("routes", {"name": "a", "prefix": "/", "methods": ["basic"]}),
        ("routes", {"name": "a", "prefix": "/", "unknown": 1}),
        ("groups", {"apis": [{"method": "GET", "path": "/", "function": "f", "mode": "mapping"}]}),
        ("groups", {"apis": [{"method": "GET", "path": "/", "function": "f", "system": {"CaSecret": "X"}}]}),
        ("groups", []),
    ],
)
async def test_a_wrong_setting_is_400(door: Door, path: str, body: Any) -> None:
    async with door.http.post(f"{door.admin}/gateway/{path}", json=body) as answer:
        assert answer.status == 400
