"""Whatever is asked for: what can be heard decides the id, nothing else does, and nobody finds it by guessing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from functions.prompts.consumers import CONSUMERS
from functions.prompts.prompt import Place, Prompt
from functions.prompts.rendition import RENDITIONS
from functions.prompts.request import parse
from isikit.secrets import Keys
from isikit.tenants import AppKey, Tenant

KEYS = Keys(1, {1: bytes(range(32))})
TENANT_IDS = st.from_regex(r"[a-z0-9-]{2,32}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), max_size=40).map(
    lambda text: "说" + text
)
RATES = st.integers(-500, 500)
AUDIBLE = st.fixed_dictionaries(
    {"text": WORDS},
    optional={
        "voice": st.sampled_from(["xiaoyun", "xiaogang", "zhixiaobai", "lydia"]),  # speak both locales
        "locale": st.sampled_from(["zh-CN", "en-US"]),
        "volume": st.integers(0, 100),
        "speech_rate": RATES,
        "pitch_rate": RATES,
    },
)
RENDITION = st.sampled_from(sorted(RENDITIONS.values(), key=lambda each: each.name)).map(
    lambda each: {"encoding": each.encoding, "container": each.container, "sample_rate_hz": each.sample_rate_hz}
)
INAUDIBLE = st.builds(
    lambda form, rest: {**form, **rest},
    RENDITION | st.sampled_from(sorted(CONSUMERS)).map(lambda name: {"consumer": name}),
    st.fixed_dictionaries(
        {},
        optional={
            "cache": st.sampled_from(["use", "refresh"]),
            "retention": st.sampled_from(["permanent", "day"]),
            "wait_ms": st.integers(0, 25_000),
            "call_id": st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True),
        },
    ),
)


def tenant(tenant_id: str = "acme") -> Tenant:
    return Tenant(id=tenant_id, appkeys=(AppKey("k", "zh-CN", 16000),), default_voice={"en-US": "xiaoyun"})


def prompt(body: dict[str, Any]) -> Prompt:
    return parse(body, tenant()).prompt


@given(AUDIBLE, AUDIBLE)
def test_two_requests_share_an_id_exactly_if_they_sound_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = prompt(one), prompt(other)
    heard = [
        (each.text, each.voice, each.locale, each.volume, each.speech_rate, each.pitch_rate) for each in (first, second)
    ]
    assert (first.id(KEYS, "acme") == second.id(KEYS, "acme")) == (heard[0] == heard[1])


@given(AUDIBLE, st.sampled_from(["text", "volume", "speech_rate", "pitch_rate", "voice", "locale"]), st.data())
def test_changing_any_one_thing_that_is_heard_changes_the_id(
    body: dict[str, Any], name: str, data: st.DataObject
) -> None:
    before = prompt(body)
    changed = data.draw(AUDIBLE).get(name)
    assume(changed is not None)
    after = prompt({**body, name: changed})
    assume(getattr(after, name) != getattr(before, name))
    assert after.id(KEYS, "acme") != before.id(KEYS, "acme")


@given(AUDIBLE, INAUDIBLE)
def test_how_it_is_delivered_changes_nothing(body: dict[str, Any], delivery: dict[str, Any]) -> None:
    assert prompt({**body, **delivery}).id(KEYS, "acme") == prompt(body).id(KEYS, "acme")


@given(AUDIBLE, TENANT_IDS, TENANT_IDS)
def test_two_tenants_share_no_id_and_no_place(body: dict[str, Any], one: str, other: str) -> None:
    assume(one != other)
    said = prompt(body)
    assert said.id(KEYS, one) != said.id(KEYS, other)
    for retention in ("permanent", "day"):
        mine, theirs = (Place(each, retention, said.id(KEYS, each)) for each in (one, other))  # type: ignore[arg-type]
        for name in ("prefix", "master_key", "recipe_key", "claim_key"):
            # Nor does one lie below the other: what lists or deletes by a prefix stays among its own.
            here, there = (getattr(each, name).split("/") for each in (mine, theirs))
            assert one in here and other in there and here[: here.index(one) + 1] != there[: here.index(one) + 1]


@given(AUDIBLE, st.binary(min_size=32, max_size=32))
def test_without_the_key_the_text_tells_nothing_of_the_url(body: dict[str, Any], master: bytes) -> None:
    said = prompt(body)
    found = said.id(KEYS, "acme")
    assume(master != bytes(range(32)))
    assert said.id(Keys(1, {1: master}), "acme") != found
    for digest in ("sha256", "sha1", "md5", "sha512"):
        plain = hashlib.new(digest, said.text.encode()).digest()  # what caches of others are named by
        assert base64.b32encode(plain).decode().rstrip("=").lower()[:26] not in found
        assert plain.hex() not in found
