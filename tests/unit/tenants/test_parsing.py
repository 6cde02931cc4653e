"""tenants.json: every mistake at once, and the careful choice for what is left out."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from isikit.errors import TenantsUnavailable
from isikit.tenants import parse

DIGEST = hashlib.sha256(b"secret").hexdigest()


def _tenant(**changed: Any) -> dict[str, Any]:
    return {
        "id": "acme",
        "api_keys": [{"id": "k1", "sha256": DIGEST}],
        "lease": True,
        "appkeys": [{"appkey": "abcdEFGH12345678", "locale": "zh-CN", "sample_rate_hz": 8000}],
        "default_voice": {"zh-CN": "xiaoyun", "en-US": "harry"},
        "default_locale": "en-US",
        "retention": "permanent",
        **changed,
    }


def _parse(*tenants: Any, **changed: Any) -> Any:
    return parse(json.dumps({"version": 1, "tenants": list(tenants), **changed}).encode())


def _mistakes(*tenants: Any, **changed: Any) -> set[tuple[str, str]]:
    with pytest.raises(TenantsUnavailable) as raised:
        _parse(*tenants, **changed)
    return {(one.name, one.code) for one in raised.value.errors}


def test_a_complete_tenant_is_read() -> None:
    file = _parse(_tenant())
    tenant = file.find("acme")
    assert tenant.lease is True
    assert tenant.appkeys[0].sample_rate_hz == 8000
    assert tenant.default_voice["en-US"] == "harry"
    assert (tenant.default_locale, tenant.retention) == ("en-US", "permanent")
    found, key = file.by_key_id("k1")
    assert (found.id, key.sha256) == ("acme", DIGEST)


def test_what_is_left_out_is_the_careful_choice() -> None:
    tenant = _parse({"id": "acme"}).find("acme")
    assert (tenant.lease, tenant.retention, tenant.api_keys, tenant.appkeys) == (False, "day", (), ())
    assert (tenant.default_locale, tenant.default_voice) == ("zh-CN", {})


def test_who_is_not_there_is_not_found() -> None:
    file = _parse(_tenant())
    assert file.find("evil") is None
    assert file.by_key_id("k2") is None


def test_all_mistakes_are_named_at_once() -> None:
    assert _mistakes(
        _tenant(id="ACME!", retention="forever", colour="red"),
        _tenant(api_keys=[{"id": "k 2", "sha256": "short"}, {"sha256": DIGEST}], lease="yes"),
        {"lease": True},
        "acme",
    ) == {
        ("tenants[0].id", "invalid"),
        ("tenants[0].retention", "invalid"),
        ("tenants[0].colour", "unknown"),
        ("tenants[1].api_keys[0].id", "invalid"),
        ("tenants[1].api_keys[0].sha256", "invalid"),
        ("tenants[1].api_keys[1].id", "missing"),
        ("tenants[1].lease", "invalid"),
        ("tenants[2].id", "missing"),
        ("tenants[3]", "invalid"),
    }


@pytest.mark.parametrize(
    "tenant_id", ["a", "a" * 33, "Acme", "ac_me", "ac/me", "..", "acme\n", "", "文文", " acme", "ac%2fme"]
)
def test_a_tenant_id_is_safe_in_a_path(tenant_id: str) -> None:
    assert _mistakes(_tenant(id=tenant_id)) == {("tenants[0].id", "invalid")}


@pytest.mark.parametrize("tenant_id", ["ab", "a" * 32, "a-1", "--"])
def test_two_to_thirty_two_of_the_allowed_will_do(tenant_id: str) -> None:
    assert _parse(_tenant(id=tenant_id)).find(tenant_id)


@pytest.mark.parametrize("digest", [DIGEST.upper(), DIGEST[:-1], DIGEST + "0", DIGEST + "\n", "g" * 64])
def test_a_digest_is_sha256_in_lower_case_hex(digest: str) -> None:
    assert _mistakes(_tenant(api_keys=[{"id": "k1", "sha256": digest}])) == {
        ("tenants[0].api_keys[0].sha256", "invalid")
    }


def test_ids_are_unique_over_all_tenants() -> None:
    assert _mistakes(_tenant(), _tenant(), _tenant(id="other")) == {
        ("tenants[1].id", "repeated"),
        ("tenants[1].api_keys[0].id", "repeated"),
        ("tenants[2].api_keys[0].id", "repeated"),
    }


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b'{"version": 1, "tenants": {}}', b"null", b"[" * 9999])
def test_what_is_no_file_of_tenants_is_refused(data: bytes) -> None:
    with pytest.raises(TenantsUnavailable) as raised:
        parse(data)
    assert raised.value.errors


def test_another_version_and_unknown_fields_are_refused() -> None:
    assert _mistakes(version=2) == {("version", "invalid")}
    assert _mistakes(tennants=[]) == {("tennants", "unknown")}


def test_a_mistake_says_what_would_be_allowed_and_not_what_was_there() -> None:
    with pytest.raises(TenantsUnavailable) as raised:
        _parse(_tenant(id="Geheim!", retention="Geheim!", lease="Geheim!", default_voice={"zh-CN": 1}))
    shown = [one.as_dict() for one in raised.value.errors]
    assert {one["field"]: one["allowed"] for one in shown} == {
        "tenants[0].id": "2 to 32 of a-z, 0-9 and -",
        "tenants[0].retention": ["day", "permanent"],
        "tenants[0].lease": "bool",
        "tenants[0].default_voice": "dict",
    }
    assert "Geheim" not in str(shown)


def test_a_name_that_stands_twice_in_one_object_is_refused_with_all_other_mistakes() -> None:
    twice = b'{"version": 1, "tenants": [{"id": "acme", "lease": false, "lease": true, "colour": 1}]}'
    with pytest.raises(TenantsUnavailable) as raised:
        parse(twice)
    assert {(one.name, one.code) for one in raised.value.errors} == {
        ("lease", "repeated"),
        ("tenants[0].colour", "unknown"),
    }
