"""Voices: who speaks what, and who speaks when nobody is asked for."""

from __future__ import annotations

import pytest

from functions.prompts.voices import DEFAULTS, LOCALES, VOICES, listing, speaking
from isikit.tenants import Tenant
from support.prompting import Instance


@pytest.mark.parametrize("locale", LOCALES)
def test_every_locale_has_a_default_voice_that_speaks_it(locale: str) -> None:
    able = speaking(locale, {})
    assert next(iter(able)) == DEFAULTS[locale]
    assert locale in VOICES[DEFAULTS[locale]].locales


@pytest.mark.parametrize(
    ("name", "locale", "rate_hz"),
    [
        ("xiaoyun", "zh-CN", 16000),
        ("xiaoyun", "en-US", 16000),
        ("aixia", "zh-CN", 16000),
        ("siyue", "zh-CN", 16000),
        ("zhixiaobai", "zh-CN", 16000),
        ("shanshan", "zh-HK", 16000),
        ("kelly", "zh-HK", 16000),
        ("becca", "en-US", 16000),
        ("abby_ecmix", "zh-CN", 16000),
        ("william", "en-GB", 16000),
        ("Kyong", "ko-KR", 16000),
        ("tomoka", "ja-JP", 16000),
    ],
)
def test_first_class_voices_are_known_with_their_locales_and_rates(name: str, locale: str, rate_hz: int) -> None:
    assert locale in VOICES[name].locales
    assert VOICES[name].master_rate_hz == rate_hz


def test_no_voice_is_listed_twice() -> None:
    assert len(VOICES) > 100
    assert all(name == voice.name for name, voice in VOICES.items())


def test_the_tenants_own_default_comes_first_and_may_be_a_custom_voice() -> None:
    able = speaking("zh-CN", {"zh-CN": "our_own"})
    assert next(iter(able)) == "our_own"
    assert able["our_own"].master_rate_hz == 16000
    assert "aixia" in able


def test_the_operator_may_say_that_a_voice_speaks_another_locale() -> None:
    assert "aixia" in speaking("en-US", {"en-US": "aixia"})
    assert "aixia" not in speaking("en-US", {})


def test_only_chinese_and_english_voices_read_ssml() -> None:
    assert VOICES["shanshan"].has_ssml and VOICES["becca"].has_ssml
    assert not VOICES["tomoka"].has_ssml


def test_the_list_shows_custom_voices_of_the_tenant_too() -> None:
    shown = listing(Tenant(id="acme", default_voice={"zh-CN": "our_own"}))
    assert "our_own" in {voice["name"] for voice in shown["voices"]}
    assert shown["default_voices"]["zh-CN"] == "our_own"
    assert shown["default_voices"]["en-US"] == "becca"


async def test_get_voices_answers_all_of_them(instance: Instance) -> None:
    answer = await instance.call("GET", "/v1/voices")
    shown = answer.json()
    assert (answer.status, len(shown["voices"]) >= 100) == (200, True)
    assert shown["voices"][0] == {
        "name": "xiaoyun",
        "locales": ["zh-CN", "en-US"],
        "sample_rates_hz": [8000, 16000],
        "ssml": True,
        "emotions": False,
    }
