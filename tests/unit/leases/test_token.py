"""`POST /v1/token`."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from functions.leases.openapi import DOCUMENT
from isikit.errors import TokenError
from support import asgi

HEARING = {"enable_punctuation_prediction": True, "enable_inverse_text_normalization": True}


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def holds(answer: asgi.Answer, schema: str) -> bool:
    document = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(document).validate(answer.json())
    return True


async def test_a_lease_has_exactly_the_promised_fields_and_may_not_be_stored(world: Any) -> None:
    answer = await world.post()
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "token": "0f1e2d3c4b5a69788796a5b4c3d2e1f1",
        "expires_at": "2023-11-15T22:13:20Z",
        "expires_in": 86_400,
        "refresh_at": "2023-11-15T19:49:20Z",
        "refresh_in": 77_760,
        "appkey": "chinese16",
        "start_params": {"format": "pcm", "sample_rate": 16000},
        "tenant": "acme",
        "region": "cn-beijing",
        "endpoints": {"websocket": "wss://nls.example.com/ws/v1", "rest": "https://nls.example.com"},
    }
    assert holds(answer, "Lease")


@pytest.mark.parametrize(
    ("body", "appkey", "start_params"),
    [
        ({}, "chinese16", {"format": "pcm", "sample_rate": 16000}),
        ({"use": "tts"}, "chinese16", {"format": "pcm", "sample_rate": 16000, "voice": "xiaoyun"}),
        ({"use": "sentence_asr"}, "chinese16", {"format": "pcm", "sample_rate": 16000, **HEARING}),
        (
            {"use": "realtime_asr", "sample_rate_hz": 8000},
            "zh8",
            {"format": "pcm", "sample_rate": 8000, "enable_intermediate_result": True, **HEARING},
        ),
        ({"locale": "en-US"}, "en8", {"format": "pcm", "sample_rate": 8000}),
        ({"locale": "en-US", "use": "tts"}, "en8", {"format": "pcm", "sample_rate": 8000}),
        ({"locale": "zh-CN", "sample_rate_hz": 8000}, "zh8", {"format": "pcm", "sample_rate": 8000}),
    ],
)
async def test_locale_and_rate_choose_the_appkey(world: Any, body: Any, appkey: str, start_params: Any) -> None:
    answer = await world.post(body)
    assert (answer.json()["appkey"], answer.json()["start_params"]) == (appkey, start_params)
    assert holds(answer, "Lease")


async def test_without_an_appkey_of_the_default_locale_another_is_chosen(world: Any) -> None:
    world.tenant(appkeys=[{"appkey": "en8", "locale": "en-US", "sample_rate_hz": 8000}])
    assert (await world.post()).json()["appkey"] == "en8"


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"use": "everything"}, [("use", "not_allowed", ["realtime_asr", "sentence_asr", "tts"])]),
        ({"use": None}, [("use", "type", "string")]),
        ({"locale": "fr-FR"}, [("locale", "not_allowed", ["en-US", "zh-CN"])]),
        ({"locale": 1}, [("locale", "type", "string")]),
        ({"locale": "en-US", "sample_rate_hz": 16000}, [("sample_rate_hz", "not_allowed", [8000])]),
        ({"sample_rate_hz": 24000}, [("sample_rate_hz", "not_allowed", [8000, 16000])]),
        ({"sample_rate_hz": True}, [("sample_rate_hz", "type", "integer")]),
        ({"sample_rate_hz": 16000.0}, [("sample_rate_hz", "type", "integer")]),
        (
            {"scope": 1, "use": 1, "locale": "fr-FR"},
            [
                ("scope", "unknown", ["use", "locale", "sample_rate_hz"]),
                ("use", "type", "string"),
                ("locale", "not_allowed", ["en-US", "zh-CN"]),
            ],
        ),
    ],
)
async def test_all_mistakes_are_told_at_once_with_what_is_allowed(world: Any, body: Any, errors: Any) -> None:
    answer = await world.post(body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    told = answer.json()["errors"]
    assert [(one["field"], one["code"], one["allowed"]) for one in told] == errors
    assert holds(answer, "Problem")
    assert world.api.fetched == 0


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"tts"', b'{"use":"tts","use":"tts"}'])
async def test_a_body_that_is_no_json_object_is_refused(world: Any, body: bytes) -> None:
    answer = await world.post(body)
    assert (answer.status, answer.json()["code"]) == (400, "request.not_json")


async def test_a_large_body_is_refused(world: Any) -> None:
    assert (await world.post(b" " * 5000)).status == 413


async def test_a_tenant_that_is_not_allowed_leases_gets_none(world: Any, capsys: Any) -> None:
    world.tenant(lease=False)
    answer = await world.post({"scope": 1})
    assert (answer.status, answer.json()["code"]) == (403, "lease.not_allowed")
    assert world.api.fetched == 0
    refused = [event for event in events(capsys) if event["event"] == "lease.refused"]
    assert [(event["reason"], event["tenant"]) for event in refused] == [("lease.not_allowed", "acme")]


async def test_a_tenant_without_appkeys_is_a_mistake_of_the_operator(world: Any) -> None:
    world.tenant(appkeys=[])
    answer = await world.post()
    assert (answer.status, answer.json()["code"]) == (500, "lease.no_appkey")


@pytest.mark.parametrize("key", ["", "k-one.wrongwrongwrongwrong", "k-two.0123456789abcdef0123456789abcdef"])
async def test_without_the_right_key_there_is_no_lease(world: Any, key: str) -> None:
    answer = await world.post(key=key)
    assert (answer.status, answer.json()["code"]) == (401, "identity.refused")
    assert world.api.fetched == 0


async def test_many_leases_share_one_token_until_its_last_fifth(world: Any) -> None:
    first = (await world.post()).json()
    world.clock.move(69_000)
    assert (await world.post()).json()["token"] == first["token"]
    world.clock.move(200)
    assert (await world.post()).json()["token"] != first["token"]
    assert world.api.fetched == 2


async def test_a_lease_outlives_an_outage_of_the_token_api(world: Any) -> None:
    first = (await world.post()).json()
    world.api.error = TokenError("down", code="pop.unavailable")
    world.clock.move(86_400 - 600)
    answer = await world.post()
    assert answer.status == 200
    assert (answer.json()["token"], answer.json()["expires_in"]) == (first["token"], 600)
    assert holds(answer, "Lease")


async def test_never_a_lease_with_less_than_ten_minutes(world: Any, capsys: Any) -> None:
    await world.post()
    world.api.error = TokenError("down", code="pop.unavailable")
    world.clock.move(86_400 - 599)
    answer = await world.post()
    assert (answer.status, answer.json()["code"]) == (502, "pop.unavailable")
    assert [event["reason"] for event in events(capsys) if event["event"] == "lease.refused"] == ["pop.unavailable"]


async def test_the_log_tells_who_got_how_much_and_never_the_token(world: Any, capsys: Any) -> None:
    token = (await world.post({"use": "tts"})).json()["token"]
    out = capsys.readouterr().out
    granted = [line for line in map(json.loads, out.splitlines()) if line["event"] == "lease.granted"]
    assert [(line["tenant"], line["expires_in"]) for line in granted] == [("acme", 86_400)]
    assert token not in out


async def test_what_is_not_there_is_a_problem_document(world: Any) -> None:
    for method, path, status in (("GET", "/v1/uploads", 405), ("GET", "/v1/token", 405), ("GET", "/", 404)):
        answer = await asgi.call(world.app, method, path)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_openapi_json_names_exactly_the_routes_there_are(world: Any) -> None:
    answer = await asgi.call(world.app, "GET", "/openapi.json")
    assert answer.json() == DOCUMENT
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            found = await asgi.call(world.app, method.upper(), path)
            assert found.status not in (404, 405)
    jsonschema.Draft202012Validator.check_schema({"$defs": DOCUMENT["components"]["schemas"]})


async def test_no_collaborator_is_made_before_the_first_request() -> None:
    from functions.leases.app import app, instance, pre_stop, routes
    from isikit.host import make_app

    assert instance.cache_info().currsize == 0
    assert (await asgi.call(app, "GET", "/healthz")).status == 200
    await pre_stop()
    assert instance.cache_info().currsize == 0

    def wrong() -> Any:
        raise TokenError("settings", code="pop.failed")

    assert (await asgi.call(make_app(routes(wrong)), "POST", "/v1/token")).status == 502
