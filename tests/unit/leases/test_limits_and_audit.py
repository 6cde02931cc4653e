"""Rates and quotas of leases and uploads, and the audit of all that was asked."""

from __future__ import annotations

import json
from typing import Any

import pytest


def events(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"].startswith(name)]


@pytest.mark.parametrize(("path", "name"), [("/v1/token", "leases"), ("/v1/uploads", "uploads")])
async def test_the_rate_is_told_with_every_answer_and_held(world: Any, path: str, name: str) -> None:
    world.tenant(rates={name: "2/day"})
    body = {"extension": "wav"} if name == "uploads" else {}
    first, second, third = [await world.post(body, path=path) for _ in range(3)]
    assert [first.status, second.status, third.status] == [200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in (first, second, third)] == ["1", "0", "0"]
    assert third.json()["code"] == "limit.rate"
    assert int(third.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("path", "name"), [("/v1/token", "leases"), ("/v1/uploads", "uploads")])
async def test_a_quota_of_zero_gives_nothing_and_names_the_next_day(world: Any, path: str, name: str) -> None:
    world.tenant(quotas={name: 0})
    answer = await world.post({"extension": "wav"} if name == "uploads" else {}, path=path)
    assert (answer.status, answer.json()["code"]) == (429, "limit.quota")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400


async def test_a_lease_that_was_not_given_out_costs_nothing_of_the_quota(world: Any) -> None:
    world.tenant(quotas={"leases": 1})
    assert (await world.post({"use": "everything"})).status == 400
    assert (await world.post()).status == 200
    assert (await world.post()).status == 429


async def test_an_audit_names_door_subject_and_the_end_of_the_appkey(world: Any, capsys: Any) -> None:
    await world.post({"use": "tts"})
    (granted,) = events(capsys, "lease.")
    told = {name: granted[name] for name in ("event", "tenant", "door", "subject", "appkey_end", "expires_in", "use")}
    assert told == {
        "event": "lease.granted",
        "tenant": "acme",
        "door": "api_key",
        "subject": "k-one",
        "appkey_end": "se16",
        "expires_in": 86_400,
        "use": "tts",
    }


@pytest.mark.parametrize(
    ("change", "call", "reason", "door"),
    [
        ({}, {"key": "k-one.wrongwrongwrongwrong"}, "identity.refused", "api_key"),
        ({}, {"key": ""}, "identity.refused", "none"),
        ({}, {"key": "", "Authorization": "Bearer x.y.z"}, "identity.refused", "jwt"),
        ({"lease": False}, {}, "lease.not_allowed", "api_key"),
        ({"quotas": {"leases": 0}}, {}, "limit.quota", "api_key"),
        ({}, {"Origin": "https://evil.example.com"}, "identity.origin", "api_key"),
        ({}, {"body": b"{"}, "request.not_json", "api_key"),
        ({"appkeys": []}, {}, "lease.no_appkey", "api_key"),
    ],
)
async def test_every_refusal_is_one_line_with_its_reason_and_never_the_key(
    world: Any, capsys: Any, change: Any, call: Any, reason: str, door: str | None
) -> None:
    world.tenant(**change)
    await world.post(**call)
    out = capsys.readouterr().out
    lines = [line for line in map(json.loads, out.splitlines()) if line["event"].startswith("lease.")]
    assert [(line["event"], line["reason"], line.get("door")) for line in lines] == [("lease.refused", reason, door)]
    assert "wrongwrong" not in out
    assert "0123456789abcdef" not in out


async def test_an_upload_is_audited_without_its_signature(world: Any, capsys: Any) -> None:
    slot = (await world.upload({"extension": "wav"})).json()
    out = capsys.readouterr().out
    (line,) = [line for line in map(json.loads, out.splitlines()) if line["event"].startswith("upload.")]
    assert (line["event"], line["kind"], line["door"], line["expires_in"]) == ("upload.granted", "form", "api_key", 600)
    assert slot["fields"]["x-oss-signature"] not in out
    assert "CAIS" not in out


async def test_a_tenant_with_a_role_gets_the_token_of_that_role(world: Any) -> None:
    world.tenant(role_arn="acs:ram::123:role/speech")
    await world.post()
    assert world.tokens.asked == ["acs:ram::123:role/speech"]
