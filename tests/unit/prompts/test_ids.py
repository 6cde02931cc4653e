"""Ids: everything that can be heard changes them, and nothing else does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.prompts.ids import ID, ONCE, canonical, once
from functions.prompts.prompt import Prompt
from functions.prompts.request import parse
from isikit.secrets import Keys
from isikit.tenants import AppKey, Tenant

KEYS = Keys(1, {1: bytes(range(32))})
TENANT = Tenant(id="acme", appkeys=(AppKey("k", "zh-CN", 16000),))
BASE = {"text": "Hello 您好"}


def id_of(body: dict[str, Any], tenant: Tenant = TENANT, keys: Keys = KEYS) -> str:
    return parse(body, tenant).prompt.id(keys, tenant.id)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Hello 您好!"},
        {"text": "hello 您好"},
        {"locale": "en-US"},
        {"voice": "xiaoyun"},
        {"volume": 51},
        {"speech_rate": 1},
        {"pitch_rate": -1},
    ],
    ids=str,
)
def test_everything_audible_changes_the_id(change: dict[str, Any]) -> None:
    assert id_of({**BASE, **change}) != id_of(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"consumer": "asterisk"},
        {"encoding": "mp3"},
        {"encoding": "mulaw", "container": "wav"},
        {"sample_rate_hz": 16000},
        {"cache": "refresh"},
        {"cache": "bypass"},
        {"wait_ms": 0},
        {"call_id": "c-1"},
        {"retention": "day"},
        {"retention": "permanent"},
        {"volume": 50},
        {"speech_rate": 0},
        {"locale": "zh-CN"},
        {"voice": "aixia"},  # the default, said out loud
        {"text": "  Hello\t您好\u200b "},
    ],
    ids=str,
)
def test_nothing_else_changes_the_id(change: dict[str, Any]) -> None:
    assert id_of({**BASE, **change}) == id_of(BASE)


def test_ssml_and_text_of_the_same_words_are_two_prompts() -> None:
    assert id_of({"ssml": "<speak>Hello</speak>"}) != id_of({"text": "Hello"})


def test_two_ways_to_write_the_same_ssml_are_one_prompt() -> None:
    assert id_of({"ssml": "<speak>a<break time='1s'></break></speak>"}) == id_of(
        {"ssml": ' <speak >a<break  time="1s"/></speak>'}
    )


def test_a_retired_prompt_has_another_id() -> None:
    prompt = parse(BASE, TENANT).prompt
    fields = {name: getattr(prompt, name) for name in Prompt.__slots__}
    assert Prompt(**{**fields, "revision": 1}).id(KEYS, "acme") != prompt.id(KEYS, "acme")


def test_another_tenant_or_another_key_gives_another_id() -> None:
    other_keys = Keys(2, {2: bytes(32)})
    assert len({id_of(BASE), id_of(BASE, Tenant(id="other")), id_of(BASE, keys=other_keys)}) == 3
    assert id_of(BASE, keys=other_keys).startswith("k2")


def test_an_id_is_the_key_version_and_52_characters_of_base32() -> None:
    assert re.fullmatch(r"k1[a-z2-7]{52}", id_of(BASE))
    assert ID.fullmatch(id_of(BASE))


def test_the_id_of_a_known_prompt_never_changes() -> None:
    # If this fails, every URL ever given out changes with the next deployment.
    assert id_of(BASE) == "k1zvi4ttkjlieid5uuve6vdln6z74vadqmmlzhd67vrf4faueno2va"


def test_the_same_text_in_two_fields_cannot_be_mixed_up() -> None:
    assert canonical({"a": "b", "c": 1}) == b'{"a":"b","c":1}'
    assert canonical({"c": 1, "a": 'b","c":2'}) == b'{"a":"b\\",\\"c\\":2","c":1}'


@given(st.dictionaries(st.sampled_from("abc"), st.text() | st.integers(-(2**53) + 1, 2**53 - 1)))
def test_the_canonical_form_is_json_that_reads_back_the_same(audible: dict[str, str | int]) -> None:
    encoded = canonical(audible)
    assert json.loads(encoded) == audible
    assert canonical(dict(reversed(audible.items()))) == encoded


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_texts_share_an_id_only_if_they_are_the_same(one: str, other: str) -> None:
    first, second = (Prompt(text, False, "zh-CN", "aixia", 16000).id(KEYS, "acme") for text in (one, other))
    assert (first == second) == (one == other)


def test_a_place_for_once_is_never_the_same() -> None:
    assert ONCE.fullmatch(once())
    assert once() != once()
