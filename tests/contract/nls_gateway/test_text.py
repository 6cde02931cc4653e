"""How texts are cut, counted and split."""

from __future__ import annotations

import pytest

from localcloud.nls import text, voices
from localcloud.nls.status import Refusal


@pytest.mark.parametrize(("characters", "calls"), [(0, 0), (1, 1), (100, 1), (101, 2), (102, 2), (300, 3)])
def test_every_started_hundred_is_a_call(characters: int, calls: int) -> None:
    assert text.calls(characters) == calls


def test_long_texts_are_split_at_sentence_ends_and_nothing_is_lost() -> None:
    wish = "First sentence. Second one! 第三句。" * 20 + "字" * 700
    pieces = [piece.text for piece in text.read_long(wish).pieces]
    assert pieces[:3] == ["First sentence.", "Second one!", "第三句。"]
    assert "".join("".join(pieces).split()) == "".join(wish.split())
    assert max(map(len, pieces)) <= 302


def test_a_long_text_has_its_limit_too() -> None:
    assert text.read_long("字" * 100_000).characters == 100_000
    with pytest.raises(Refusal):
        text.read_long("字" * 100_001)
    with pytest.raises(Refusal):
        text.read_long(f"<speak>{'字' * 100_001}</speak>")


@pytest.mark.parametrize(
    "ssml",
    [
        "<speak>a</speak><speak>b</speak>",
        "<speak><speak>a</speak></speak>",
        '<speak><break time="1h"/></speak>',
        '<speak colour="red">a</speak>',
        "<speak>&nbsp;</speak>",
        "<speak><?php ?>a</speak>",
        "<speaker>a</speaker>",
    ],
)
def test_ssml_that_is_refused(ssml: str) -> None:
    with pytest.raises(Refusal) as refused:
        text.read_short(ssml)
    assert refused.value.status == 41020001


def test_what_ssml_fetches_or_mixes_in_is_not_built() -> None:
    with pytest.raises(Refusal, match="NOT_IMPLEMENTED"):
        text.read_short('<speak><soundEvent src="http://example.com/a.wav"/>a</speak>')


def test_emotions_need_a_voice_that_has_them() -> None:
    ssml = '<speak><emotion category="happy" intensity="1.0">好</emotion></speak>'
    assert text.read_short(ssml, emotions=voices.has_emotions("zhimiao_emo")).pieces[0].text == "好"
    with pytest.raises(Refusal):
        text.read_short(ssml, emotions=voices.has_emotions("xiaoyun"))


def test_every_voice_has_a_rate_for_telephony_but_two() -> None:
    assert {v for v, rates in voices.RATES_HZ.items() if 8000 not in rates} == {"zhifeng_emo", "zhibing_emo"}
    assert voices.RATES_HZ["siyue"] == {8000, 16000, 24000}
    assert "Kyong" in voices.RATES_HZ
    assert voices.RATES_HZ.keys() >= voices.LONG_TEXT_ONLY
