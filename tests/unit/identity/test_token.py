"""The door of tokens: issuer, audience and a key of the issuer's, or nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from typing import Any

import pytest

from isikit.errors import IssuerUnavailable, Refused
from support.house import JWKS_URL, House, entry, issued_for
from support.issuer import ISSUER, assembled, key_set, private, public, token
from support.memory_store import MovableClock


@pytest.fixture
def issued(house: House) -> House:
    """A house whose issuer can be asked."""
    house.documents[JWKS_URL] = key_set()
    return house


async def _refused(house: House, value: str) -> None:
    with pytest.raises(Refused):
        await house.knock({"Authorization": f"Bearer {value}"})


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize(
    ("header", "prefix"), [("Authorization", "Bearer "), ("X-Authorization", "Bearer "), ("X-Authorization", "")]
)
async def test_a_token_of_a_known_issuer_lets_in(issued: House, kind: str, header: str, prefix: str) -> None:
    caller = await issued.knock({header: prefix + token(issued.clock.now(), kind=kind)})
    assert (caller.tenant.id, caller.door, caller.subject) == ("acme", "jwt", "alice")


async def test_the_audience_fixes_the_tenant(issued: House) -> None:
    caller = await issued.knock(
        {"Authorization": f"Bearer {token(issued.clock.now(), aud='other-api', tenant='acme')}"}
    )
    assert caller.tenant.id == "other"
    caller = await issued.knock({"Authorization": f"Bearer {token(issued.clock.now(), aud=['x', 'acme-api'])}"})
    assert caller.tenant.id == "acme"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"aud": "evil-api"},
        {"aud": None},
        {"aud": ["acme-api", "other-api"]},
        {"aud": [f"x{n}" for n in range(16)] + ["acme-api"]},
        {"aud": [["acme-api"]]},
        {"exp": None},
        {"exp": 0},
        {"exp": 1e300},
        {"tenant": "acme", "aud": "unknown"},
    ],
    ids=str,
)
async def test_claims_that_fix_no_tenant_or_no_time_are_refused(issued: House, claims: dict[str, Any]) -> None:
    await _refused(issued, token(issued.clock.now(), **claims))


@pytest.mark.parametrize("skew", [-600, 600])
async def test_a_clock_ten_minutes_off_either_way_is_refused(issued: House, skew: int) -> None:
    now = int(issued.clock.now()) + skew
    await _refused(issued, token(now, exp=now + 300))


@pytest.mark.parametrize("off_seconds", [-600, 600])
async def test_tokens_are_judged_by_the_time_of_oss_where_this_machine_is_ten_minutes_off(
    issued: House, off_seconds: int
) -> None:
    now = issued.clock.now()
    issued.store.clock = MovableClock(now - off_seconds)
    assert (await issued.knock({"Authorization": f"Bearer {token(now - off_seconds)}"})).tenant.id == "acme"
    await _refused(issued, token(now, exp=int(now) + 300))  # as this machine has it: over, or still to come


@pytest.mark.parametrize("skew", [-50, 50])
async def test_a_clock_some_seconds_off_is_not(issued: House, skew: int) -> None:
    now = int(issued.clock.now())
    claims = {"exp": now + skew if skew < 0 else now + 600, "iat": now + max(skew, -100), "nbf": now + max(skew, -100)}
    assert (await issued.knock({"Authorization": f"Bearer {token(now, **claims)}"})).tenant.id == "acme"


async def test_a_token_that_is_not_valid_yet_or_names_no_time_is_refused(issued: House) -> None:
    now = issued.clock.now()
    await _refused(issued, token(now, nbf=int(now) + 120))
    for wrong in (True, "1700000600", [], {}):
        header = {"alg": "RS256", "kid": "RS256"}
        claims = {"iss": ISSUER, "aud": "acme-api", "exp": wrong}
        signing = assembled(header, claims).rpartition(".")[0]
        signature = _rs256(signing.encode())
        await _refused(issued, assembled(header, claims, signature))


def _rs256(data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signed: bytes = private("RS256").sign(data, padding.PKCS1v15(), hashes.SHA256())
    return signed


def _claims(house: House) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": "acme-api", "exp": int(house.clock.now()) + 600}


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, ["RS256"], "HS256", "HS512", "RS512", "PS256", "ES384"]
)
async def test_no_other_algorithm_is_taken(issued: House, algorithm: object) -> None:
    header = {"alg": algorithm, "kid": "RS256", "typ": "JWT"}
    signing = assembled(header, _claims(issued)).rpartition(".")[0].encode()
    await _refused(issued, assembled(header, _claims(issued)))
    await _refused(issued, assembled(header, _claims(issued), _rs256(signing)))


async def test_a_public_key_is_no_shared_secret(issued: House) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = private("RS256").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(public("RS256")).encode()):
        header = {"alg": "HS256", "kid": "RS256"}
        signing = assembled(header, _claims(issued)).rpartition(".")[0].encode()
        await _refused(issued, assembled(header, _claims(issued), hmac.digest(secret, signing, hashlib.sha256)))


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "JOSE"},
        {"typ": "dpop+jwt"},
        {"typ": 1},
        {"crit": ["exp"], "exp": 1},
        {"kid": ""},
        {"kid": "x" * 300},
        {"kid": "EdDSA"},
    ],
    ids=str,
)
async def test_a_header_of_another_kind_is_refused(issued: House, headers: dict[str, Any]) -> None:
    header = {"alg": "RS256", "kid": "RS256", **headers}
    signing = assembled(header, _claims(issued)).rpartition(".")[0].encode()
    await _refused(issued, assembled(header, _claims(issued), _rs256(signing)))


async def test_keys_and_addresses_that_a_token_brings_are_not_looked_at(issued: House) -> None:
    brought = {"jku": "https://evil.example.com/keys", "jwk": public("stranger"), "x5u": "https://evil.example.com/x"}
    await _refused(issued, token(issued.clock.now(), kind="stranger", headers={**brought, "kid": "RS256"}))
    assert issued.asked == [JWKS_URL]


@pytest.mark.parametrize(
    "value", ["", "a.b", "a.b.c", "a.b.c.d", "....", "%", "é.é.é", "eyJ9.e30.AA", "x" * 9000, "[[[[" * 500 + ".x.y"]
)
async def test_what_is_no_token_is_refused_without_asking_anybody(issued: House, value: str) -> None:
    await _refused(issued, value)
    assert issued.asked == []


async def test_a_right_token_that_is_too_long_is_refused(issued: House) -> None:
    await _refused(issued, token(issued.clock.now(), filler="x" * 8000))


async def test_a_changed_token_is_refused(issued: House) -> None:
    head, payload, mark = token(issued.clock.now()).split(".")
    other = token(issued.clock.now(), aud="other-api").split(".")[1]
    await _refused(issued, f"{head}.{other}.{mark}")
    await _refused(issued, f"{head}.{payload}.{'A' if mark[0] != 'A' else 'B'}{mark[1:]}")
    await _refused(issued, f"{head}.{payload}.")


@pytest.mark.parametrize(
    ("kind", "entry_of_set"),
    [
        ("short", lambda: public("short")),
        ("P-384", lambda: public("P-384")),
        ("RS256", lambda: public("RS256", use="enc")),
        ("RS256", lambda: public("RS256", key_ops=["sign"])),
        ("RS256", lambda: public("RS256", alg="RS512")),
        ("RS256", lambda: public("RS256", alg="PS256")),
    ],
)
async def test_weak_keys_and_keys_for_something_else_prove_nothing(house: House, kind: str, entry_of_set: Any) -> None:
    house.documents[JWKS_URL] = key_set(entry_of_set(), public("EdDSA"))
    await _refused(house, token(house.clock.now(), kind=kind))


async def test_a_token_without_a_key_id_needs_a_set_of_one_key(house: House) -> None:
    house.documents[JWKS_URL] = key_set(public("ES256"))
    header = {"alg": "ES256"}
    import jwt

    bare = jwt.encode(_claims(house), private("ES256"), "ES256", header)
    assert (await house.knock({"Authorization": f"Bearer {bare}"})).tenant.id == "acme"
    house.documents[JWKS_URL] = key_set()
    house.clock.move(601)
    bare = jwt.encode(_claims(house), private("ES256"), "ES256", header)
    await _refused(house, bare)


async def test_each_tenant_is_judged_by_its_own_issuers_keys(house: House) -> None:
    evil = issued_for("other-api", "https://other.example.com", "https://other.example.com/keys")
    house.write_tenants(
        entry("acme", "k1", "s" * 43, jwt=[issued_for("acme-api")]), entry("other", "k2", "o" * 43, jwt=[evil])
    )
    house.documents[JWKS_URL] = key_set()
    house.documents["https://other.example.com/keys"] = key_set(public("stranger", "RS256"))
    await _refused(house, token(house.clock.now(), kind="stranger", headers={"kid": "RS256"}))
    theirs = token(
        house.clock.now(), kind="stranger", headers={"kid": "RS256"}, iss="https://other.example.com", aud="other-api"
    )
    assert (await house.knock({"Authorization": f"Bearer {theirs}"})).tenant.id == "other"


async def test_an_issuer_that_cannot_be_asked_is_503_and_not_a_refusal(house: House) -> None:
    with pytest.raises(IssuerUnavailable) as raised:
        await house.knock({"Authorization": f"Bearer {token(house.clock.now())}"})
    assert (raised.value.status, raised.value.retry_after) == (503, 10)


def test_nothing_is_imported_for_tokens_before_the_first_one_comes() -> None:
    code = "import sys, isikit.identity; print(sorted({'jwt', 'cryptography', 'ssl', 'httptools'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="shared")
    assert "jwt" not in done.stdout and "cryptography" not in done.stdout
