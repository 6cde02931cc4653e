"""One master, a key of its own for every use, and seals that nobody else can make or move."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isikit.errors import KeysUnavailable, SealError
from isikit.secrets import Keys

MASTER = bytes(range(32))
OTHER = bytes(32)


def _file(version: int = 1, master: bytes = MASTER, **more: object) -> bytes:
    return json.dumps({"version": version, "master": base64.b64encode(master).decode(), **more}).encode()


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys.parse(_file())


@given(plain=st.binary(max_size=300), aad=st.binary(max_size=40), purpose=st.text(max_size=10))
def test_what_is_sealed_opens_again(plain: bytes, aad: bytes, purpose: str) -> None:
    keys = Keys(1, {1: MASTER})
    sealed = keys.seal(plain, purpose=purpose, aad=aad)
    assert keys.open(sealed, purpose=purpose, aad=aad) == plain
    assert sealed[0] == 1
    assert len(sealed) == len(plain) + 1 + 12 + 16


@given(plain=st.binary(max_size=50), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_single_changed_bit_is_noticed(plain: bytes, at: int, bit: int) -> None:
    keys = Keys(1, {1: MASTER})
    sealed = bytearray(keys.seal(plain, purpose="say", aad=b"acme"))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(SealError):
        keys.open(bytes(sealed), purpose="say", aad=b"acme")


def test_a_seal_opens_for_its_own_purpose_and_owner_only(keys: Keys) -> None:
    sealed = keys.seal(b"text", purpose="recipe", aad=b"acme/k1abc")
    for purpose, aad in (("say", b"acme/k1abc"), ("recipe", b"evil/k1abc"), ("recipe", b"")):
        with pytest.raises(SealError) as raised:
            keys.open(sealed, purpose=purpose, aad=aad)
        assert raised.value.code == "seal.broken"


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(27)])
def test_what_is_too_short_is_broken(keys: Keys, sealed: bytes) -> None:
    with pytest.raises(SealError) as raised:
        keys.open(sealed, purpose="say", aad=b"")
    assert raised.value.code == "seal.broken"


def test_no_two_seals_are_the_same(keys: Keys) -> None:
    assert len({keys.seal(b"text", purpose="say", aad=b"") for _ in range(100)}) == 100


def test_another_version_is_another_error_than_a_broken_seal(keys: Keys) -> None:
    sealed = Keys(2, {2: MASTER}).seal(b"text", purpose="say", aad=b"")
    with pytest.raises(SealError) as raised:
        keys.open(sealed, purpose="say", aad=b"")
    assert raised.value.code == "seal.unknown_key"


def test_a_previous_master_still_opens_and_no_longer_seals() -> None:
    old = Keys.parse(_file(1, OTHER))
    both = Keys.parse(_file(2, MASTER, previous=[json.loads(_file(1, OTHER))]))
    assert both.open(old.seal(b"text", purpose="say", aad=b""), purpose="say", aad=b"") == b"text"
    assert both.seal(b"", purpose="say", aad=b"")[0] == 2


def test_the_url_key_is_hkdf_of_the_master(keys: Keys) -> None:
    """RFC 5869 done by hand: extract, then one block of expand."""
    extracted = hmac.new(b"isikit", MASTER, hashlib.sha256).digest()
    assert keys.url_key("acme") == hmac.new(extracted, b"url:acme\x01", hashlib.sha256).digest()


def test_every_tenant_and_every_version_has_a_key_of_its_own(keys: Keys) -> None:
    others = Keys(2, {2: OTHER})
    assert len({keys.url_key("acme"), keys.url_key("evil"), others.url_key("acme")}) == 3
    assert keys.url_key("acme") == Keys(1, {1: MASTER}).url_key("acme")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"version": 1}',
        _file(0),
        _file(256),
        _file(1, bytes(31)),
        b'{"version": 1, "master": "not base64!"}',
        b'{"version": 1, "master": "\xe6\x96\x87"}',
        _file(1, extra=1),
        _file(1, previous=[json.loads(_file(1))]),
        _file(2, previous=[json.loads(_file(1, b"short"))]),
    ],
)
def test_a_wrong_file_is_refused_without_repeating_it(data: bytes) -> None:
    with pytest.raises(KeysUnavailable) as raised:
        Keys.parse(data)
    assert base64.b64encode(MASTER).decode() not in f"{raised.value} {raised.value.__cause__}"


def test_nothing_of_them_is_shown(keys: Keys) -> None:
    assert repr(keys) == str(keys) == "Keys(version=1)"
