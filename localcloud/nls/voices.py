"""The service's classic voices that are worth having in tests, with their sample rates (from its voice list)."""

from __future__ import annotations

_8_16 = frozenset((8000, 16000))
_8_16_24 = _8_16 | {24000}
_8_16_24_48 = _8_16_24 | {48000}
_24 = frozenset((24000,))

_TABLE: tuple[tuple[frozenset[int], str], ...] = (
    (
        _8_16,
        "xiaoyun xiaogang aiqi aijia aicheng aida aixia zhishuo aiya aimei aiyu aiyue aijing aishuo zhiya aina"
        " zhiyuan zhiyue zhida zhistella jiajia taozi kelly chuangirl cuijie dahu qingqing zhiqing aikan xiaoze"
        " harry eric luca emily luna abby annie ava andy cally lydia becca betty beth cindy donna eva brian"
        " zhimiao_emo zhimi_emo zhiyan_emo zhibei_emo zhitian_emo"
        " tomoka tomoya Kyong clara hanna masha camila perla indah farah tala tien waan",
    ),
    (
        _8_16_24,
        "ruoxi siqi sijia sicheng siyue xiaomei yina sijing shanshan wendy olivia william david"
        " abby_ecmix eva_ecmix david_ecmix",
    ),
    (_8_16_24_48, "zhixiaobai zhixiaoxia abin zhiqi zhichu zhixiang zhijia zhinan zhiqian zhiru zhide"),
    (_24, "zhifeng_emo zhibing_emo"),
)

RATES_HZ: dict[str, frozenset[int]] = {name: rates for rates, names in _TABLE for name in names.split()}
"""Sample rates by voice name. Names are case-sensitive (`Kyong`)."""

LONG_TEXT_ONLY = frozenset(["zhiqi", "zhichu", "zhixiang", "zhijia", "zhinan", "zhiqian", "zhiru", "zhide"])
"""High-definition voices: short synthesis may answer 40000001 `No privilege to this voice!`."""


def has_emotions(voice: str) -> bool:
    """Whether `<emotion>` is allowed in its SSML."""
    return voice.endswith("_emo")
