"""The voices of the speech service: which languages they speak and at which rates they can be had.

From the service's overview of voices. A locale is a BCP 47 tag; dialects carry their region. Who mixes Mandarin and
English, by that table, speaks both locales.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from isikit.tenants import Tenant

MASTER_RATE_HZ: Final = 16000
"""Of every voice that has it: the highest rate that all of the service's interfaces offer."""

_TELEPHONE: Final = (8000, 16000)
_WIDE: Final = (8000, 16000, 24000)
_HD: Final = (8000, 16000, 24000, 48000)
_EMOTION_SUFFIX: Final = "_emo"


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice. `locales` has its own language first."""

    name: str
    locales: tuple[str, ...]
    rates_hz: tuple[int, ...]

    @property
    def master_rate_hz(self) -> int:
        """The rate its masters have."""
        return MASTER_RATE_HZ if MASTER_RATE_HZ in self.rates_hz else self.rates_hz[0]

    @property
    def has_ssml(self) -> bool:
        """Chinese and English voices alone read SSML."""
        return self.locales[0].startswith(("zh-", "en-"))

    @property
    def has_emotions(self) -> bool:
        """Whether `<emotion>` is allowed; other voices answer 41020001 to it."""
        return self.name.endswith(_EMOTION_SUFFIX)


def _voices(locales: str, rates_hz: tuple[int, ...], names: str) -> list[Voice]:
    return [Voice(name, tuple(locales.split()), rates_hz) for name in names.split()]


VOICES: Final[Mapping[str, Voice]] = {
    voice.name: voice
    for voice in (
        # General
        *_voices("zh-CN en-US", _TELEPHONE, "xiaoyun xiaogang"),
        *_voices("zh-CN", _WIDE, "ruoxi siqi sijia sicheng"),
        *_voices("zh-CN", _TELEPHONE, "aiqi aijia aicheng aida zhiyuan zhiyue zhida zhistella"),
        # Customer service
        *_voices("zh-CN", _TELEPHONE, "aixia zhishuo aiya aimei aiyu aiyue aijing aishuo zhiya aina yina"),
        *_voices("zh-CN", _WIDE, "siyue xiaomei sijing"),
        # Dialogue
        *_voices("zh-CN en-US", _HD, "zhixiaobai zhixiaoxia abin"),
        # Emotions
        *_voices("zh-CN", _TELEPHONE, "zhimiao_emo zhimi_emo zhiyan_emo zhibei_emo zhitian_emo"),
        *_voices("zh-CN", _WIDE, "zhifeng_emo zhibing_emo"),
        # HD; the account may lack the right to them
        *_voices("zh-CN", _HD, "zhiqi zhichu zhixiang zhijia zhinan zhiqian zhiru zhide"),
        # Cantonese and dialects
        *_voices("zh-HK en-US", _WIDE, "shanshan"),
        *_voices("zh-HK en-US", _TELEPHONE, "jiajia taozi"),
        *_voices("zh-HK", _TELEPHONE, "kelly"),
        *_voices("zh-TW", _TELEPHONE, "qingqing zhiqing"),
        *_voices("zh-CN-sichuan", _TELEPHONE, "chuangirl"),
        *_voices("zh-CN-liaoning", _TELEPHONE, "cuijie dahu"),
        *_voices("zh-CN-tianjin", _TELEPHONE, "aikan"),
        *_voices("zh-CN-hunan", _TELEPHONE, "xiaoze"),
        # English
        *_voices("en-US", _TELEPHONE, "becca abby annie ava andy cally betty beth cindy donna eva brian"),
        *_voices("en-US", _WIDE, "david"),
        *_voices("en-US zh-CN", _TELEPHONE, "lydia"),
        *_voices("en-US zh-CN", _WIDE, "abby_ecmix andy_ecmix annie_ecmix ava_ecmix betty_ecmix beth_ecmix"),
        *_voices("en-US zh-CN", _WIDE, "brian_ecmix cindy_ecmix cally_ecmix donna_ecmix eva_ecmix david_ecmix"),
        *_voices("en-GB", _TELEPHONE, "harry eric luca emily luna"),
        *_voices("en-GB", _WIDE, "wendy olivia william"),
        # Others
        *_voices("ja-JP", _TELEPHONE, "tomoka tomoya"),
        *_voices("ko-KR", _TELEPHONE, "Kyong"),
        *_voices("fr-FR", _TELEPHONE, "clara"),
        *_voices("de-DE", _TELEPHONE, "hanna"),
        *_voices("ru-RU", _TELEPHONE, "masha"),
        *_voices("es-ES", _TELEPHONE, "camila"),
        *_voices("it-IT", _TELEPHONE, "perla"),
        *_voices("id-ID", _TELEPHONE, "indah"),
        *_voices("ms-MY", _TELEPHONE, "farah"),
        *_voices("fil-PH", _TELEPHONE, "tala"),
        *_voices("vi-VN", _TELEPHONE, "tien"),
        *_voices("th-TH", _TELEPHONE, "waan"),
    )
}
"""By name, as the service spells it."""

LOCALES: Final = tuple(sorted({locale for voice in VOICES.values() for locale in voice.locales}))

DEFAULTS: Final[Mapping[str, str]] = {
    **{voice.locales[0]: voice.name for voice in reversed(tuple(VOICES.values()))},
    # Those made for telephone service, where there is one.
    "zh-CN": "aixia",
    "zh-HK": "shanshan",
    "en-US": "becca",
}
"""The voice of a locale where the tenant names none."""


def speaking(locale: str, tenants_own: Mapping[str, str], allowed: tuple[str, ...] = ()) -> Mapping[str, Voice]:
    """Every voice that a tenant can ask for in a locale, by name, the default first.

    Parameters
    ----------
    tenants_own
        Default voice by locale, from the tenant's configuration. It is believed: a voice that is not in the table is
        a custom one, and one that is speaks this locale because the operator says so.
    allowed
        The voices that the tenant may use, empty for all. Where the default is none of them, another one is.
    """
    return _speaking(locale, tenants_own.get(locale) or DEFAULTS.get(locale), allowed)


@functools.lru_cache(maxsize=1024)
def _speaking(locale: str, default: str | None, allowed: tuple[str, ...]) -> Mapping[str, Voice]:
    able = {voice.name: voice for voice in VOICES.values() if locale in voice.locales}
    if default is not None:
        known = able.pop(default, None) or VOICES.get(default)
        first = Voice(default, known.locales if known else (locale,), known.rates_hz if known else _TELEPHONE)
        able = {default: first, **able}
    return {name: voice for name, voice in able.items() if not allowed or name in allowed}


def listing(tenant: Tenant) -> dict[str, Any]:
    """`GET /v1/voices`: every voice that the tenant may use, and which speaks where none is asked for."""
    own, allowed = tenant.default_voice, tenant.voices
    custom = {name: speaking(locale, own)[name] for locale, name in own.items() if name not in VOICES}
    able = {locale: speaking(locale, own, allowed) for locale in {**DEFAULTS, **own}}
    return {
        "voices": [
            {
                "name": voice.name,
                "locales": list(voice.locales),
                "sample_rates_hz": list(voice.rates_hz),
                "ssml": voice.has_ssml,
                "emotions": voice.has_emotions,
            }
            for voice in {**VOICES, **custom}.values()
            if not allowed or voice.name in allowed
        ],
        "default_locale": tenant.default_locale,
        "default_voices": {locale: next(iter(voices)) for locale, voices in able.items() if voices},
    }
