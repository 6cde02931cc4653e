"""What operators write about doors, limits and rules: checked as a whole, before anybody is let in by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isikit.errors import TenantsUnavailable
from isikit.tenants import Tenant, parse

JWT = {"issuer": "https://issuer.example.com", "audience": "acme", "jwks_url": "https://issuer.example.com/keys?a=1"}
WHOLE: dict[str, Any] = {
    "id": "acme",
    "consumers": ["acme-gw", "Acme_2.x"],
    "apps": ["1001"],
    "jwt": [JWT],
    "appkeys": [{"appkey": "abc", "locale": "zh-CN", "sample_rate_hz": 8000, "uses": ["tts", "realtime_asr"]}],
    "origins": ["https://app.example.com", "https://app.example.com:8443", "http://localhost:3000"],
    "voices": ["xiaoyun"],
    "role_arn": "acs:ram::1234567890123456:role/speech-leases",
    "lease_min_life_seconds": 60,
    "rates": {"leases": "10/second", "recognitions": "5/day"},
    "quotas": {"leases": 0, "synthesis_calls": 100000},
    "fallback_prompt": {"zh-CN": "请稍后再拨。"},
    "voice_fallbacks": {"xiaoyun": ["ruoxi", "aiqi"]},
    "sources": [
        {"prefix": "", "mode": "file"},
        {"prefix": "calls/", "locale": "en-US", "channel_roles": {"0": "agent", "1": "customer"}},
        {"prefix": "raw/", "codec": "alaw", "sample_rate_hz": 8000},
    ],
    "webhook": {"url": "https://hooks.example.com/done", "secret_id": "acme"},
    "max_audio_hours_per_30min": 1.5,
    "priority": 0,
}


def _parse(*tenants: Any) -> Any:
    return parse(json.dumps({"version": 1, "tenants": list(tenants)}).encode())


def _mistakes(*tenants: Any) -> set[tuple[str, str]]:
    with pytest.raises(TenantsUnavailable) as raised:
        _parse(*tenants)
    return {(one.name, one.code) for one in raised.value.errors}


def test_all_of_it_is_read() -> None:
    file = _parse(WHOLE)
    tenant: Tenant = file.find("acme")
    assert (file.by_consumer("acme-gw").id, file.by_app("1001").id) == ("acme", "acme")
    assert file.by_issuer(JWT["issuer"], "acme")[1].jwks_url == JWT["jwks_url"]
    assert (tenant.rates["leases"], tenant.quotas["leases"]) == ("10/second", 0)
    assert tenant.sources[1].channel_roles == {"0": "agent", "1": "customer"}
    assert (tenant.webhook.secret_id if tenant.webhook else "", tenant.priority) == ("acme", 0)


def test_what_is_left_out_opens_nothing_and_limits_nothing() -> None:
    file = _parse({"id": "acme"})
    tenant: Tenant = file.find("acme")
    assert (tenant.consumers, tenant.apps, tenant.jwt, tenant.origins, tenant.role_arn) == ((), (), (), (), "")
    assert (tenant.rates, tenant.quotas, tenant.webhook) == ({}, {}, None)
    assert (tenant.lease_min_life_seconds, tenant.priority, tenant.max_audio_hours_per_30min) == (600, 5, None)
    assert (file.by_consumer(""), file.by_app("null"), file.by_issuer("", "")) == (None, None, None)


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("consumers", ["a b"], "consumers[0]"),
        ("consumers", "acme", "consumers"),
        ("apps", ["null"], "apps[0]"),
        ("apps", [1001], "apps[0]"),
        ("jwt", [{**JWT, "jwks_url": "http://issuer.example.com/keys"}], "jwt[0].jwks_url"),
        ("jwt", [{**JWT, "jwks_url": "https://user@issuer.example.com/keys"}], "jwt[0].jwks_url"),
        ("jwt", [{**JWT, "jwks_url": "https://issuer.example.com:70000/keys"}], "jwt[0].jwks_url"),
        ("jwt", [{**JWT, "jwks_url": "https://issuer.example.com/keys\r\nX: 1"}], "jwt[0].jwks_url"),
        ("jwt", [{**JWT, "jwks_url": "https://[::1]/keys"}], "jwt[0].jwks_url"),
        ("jwt", [{**JWT, "audience": ""}], "jwt[0].audience"),
        ("origins", ["*"], "origins[0]"),
        ("origins", ["null"], "origins[0]"),
        ("origins", ["https://app.example.com/"], "origins[0]"),
        ("origins", ["https://App.example.com"], "origins[0]"),
        ("origins", ["https://app.example.com:443"], "origins[0]"),
        ("origins", ["http://app.example.com"], "origins[0]"),
        ("origins", ["https://*.example.com"], "origins[0]"),
        ("origins", ["https://app.example.com:99999"], "origins[0]"),
        ("role_arn", "speech-leases", "role_arn"),
        ("lease_min_life_seconds", 59, "lease_min_life_seconds"),
        ("lease_min_life_seconds", 43_201, "lease_min_life_seconds"),
        ("rates", {"leases": "10"}, "rates.leases"),
        ("rates", {"leases": "0/second"}, "rates.leases"),
        ("rates", {"leases": "10/week"}, "rates.leases"),
        ("rates", {"leases": "-1/second"}, "rates.leases"),
        ("quotas", {"leases": -1}, "quotas.leases"),
        ("quotas", {"leases": True}, "quotas.leases"),
        ("quotas", {"leases": 1.5}, "quotas.leases"),
        ("fallback_prompt", {"zh-CN": ""}, "fallback_prompt"),
        ("sources", [{"prefix": "/calls"}], "sources[0].prefix"),
        ("sources", [{"prefix": "a", "mode": "guess"}], "sources[0].mode"),
        ("sources", [{"prefix": "a", "channel_roles": {"0": "A gent"}}], "sources[0].channel_roles.0"),
        ("sources", [{"prefix": "a", "codec": "mp3"}], "sources[0].codec"),
        ("webhook", {"url": "http://hooks.example.com/", "secret_id": "a"}, "webhook.url"),
        ("webhook", "https://hooks.example.com/", "webhook"),
        ("max_audio_hours_per_30min", 0, "max_audio_hours_per_30min"),
        ("priority", 10, "priority"),
    ],
)
def test_a_mistake_is_named_where_it_is(field: str, value: Any, path: str) -> None:
    assert _mistakes({**WHOLE, field: value}) == {(f"tenants[0].{path}", "invalid")}


def test_names_that_there_are_not_are_unknown_at_every_level() -> None:
    wrong = {
        **WHOLE,
        "rates": {"prompt": "1/second", "jobs": "x"},
        "quotas": {"jobs": 1},
        "jwt": [{**JWT, "claim": "sub"}],
        "sources": [{"prefix": "a", "channel_roles": {"2": "agent"}}],
        "webhook": {"url": "https://hooks.example.com/", "secret_id": "a", "secret": "x"},
    }
    assert _mistakes(wrong) == {
        ("tenants[0].rates.prompt", "unknown"),
        ("tenants[0].rates.jobs", "invalid"),
        ("tenants[0].quotas.jobs", "unknown"),
        ("tenants[0].jwt[0].claim", "unknown"),
        ("tenants[0].sources[0].channel_roles.2", "unknown"),
        ("tenants[0].webhook.secret", "unknown"),
    }


def test_whatever_names_a_tenant_names_one_only() -> None:
    same_issuer = {**JWT, "audience": "other", "jwks_url": "https://elsewhere.example.com/keys"}
    assert _parse(WHOLE, {"id": "other", "jwt": [same_issuer]})
    other = {
        "id": "other",
        "consumers": ["x", "acme-gw", "x"],
        "apps": ["1001"],
        "jwt": [{**JWT, "jwks_url": "https://b.example.com/"}],
    }
    twice = {"id": "third", "sources": [{"prefix": "a"}, {"prefix": "a"}]}
    assert _mistakes(WHOLE, other, twice) == {
        ("tenants[1].consumers[1]", "repeated"),
        ("tenants[1].consumers[2]", "repeated"),
        ("tenants[1].apps[0]", "repeated"),
        ("tenants[1].jwt[0]", "repeated"),
        ("tenants[2].sources[1].prefix", "repeated"),
    }
