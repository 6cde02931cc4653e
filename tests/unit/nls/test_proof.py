"""Whole audio passes, half of it does not."""

from __future__ import annotations

import pytest

from isikit.errors import SpeechError
from isikit.nls.length import predict
from isikit.nls.proof import bounds_ms, most_bytes, prove
from isikit.nls.synthesis import Pcm, Utterance
from unit.nls.spoken import MEASURED

CHINESE = [
    "您好，欢迎致电中国银行客户服务中心。",
    "您的验证码是四八二九一三，请不要告诉任何人。",
    "中文服务请按一，英文服务请按二，重听请按星号键。",
    "您前面还有三位客户，预计等待时间五分钟。",
    "感谢您的来电，再见。",
]


def utterance(text: str, **changes: object) -> Utterance:
    values: dict[str, object] = {"speech_rate": 0, "volume": 50, "sample_rate_hz": 8000, "is_ssml": False}
    return Utterance(text=text, voice="xiaoyun", pitch_rate=0, appkey="x", **{**values, **changes})  # type: ignore[arg-type]


def pcm(duration_ms: float, rate_hz: int = 8000) -> Pcm:
    return Pcm(b"\x10\x00" * round(rate_hz * duration_ms / 1000), rate_hz)


def doubt(one: Utterance, audio: Pcm) -> str:
    with pytest.raises(SpeechError) as caught:
        prove(one, audio)
    assert caught.value.retryable
    return caught.value.code


@pytest.mark.parametrize(("text", "measured_ms"), MEASURED)
def test_every_real_sentence_passes_with_room_on_both_sides(text: str, measured_ms: int) -> None:
    prove(utterance(text), pcm(measured_ms / 1.4))
    prove(utterance(text), pcm(measured_ms * 1.9))


# Numbers, addresses, spelled letters and titles take longer than their characters say, and may be half as long.
ODD = set("0123456789@$") | {"NASA", "Dr.", "star"}
NORMAL = [row for row in MEASURED if row[1] > 1500 and not any(odd in row[0] for odd in ODD)]


@pytest.mark.parametrize(("text", "measured_ms"), NORMAL)
def test_half_of_a_normal_sentence_fails(text: str, measured_ms: int) -> None:
    assert doubt(utterance(text), pcm(measured_ms / 2)) == "nls.truncated"


@pytest.mark.parametrize("text", CHINESE)
@pytest.mark.parametrize("speech_rate", [-500, 0, 500])
def test_chinese_passes_at_three_to_five_characters_a_second_and_half_of_it_fails(text: str, speech_rate: int) -> None:
    one = utterance(text, speech_rate=speech_rate)
    factor = {-500: 2.0, 0: 1.0, 500: 0.5}[speech_rate]
    for pace in (3, 4, 5):
        prove(one, pcm(factor * len(text) * 1000 / pace))
    if len(text) > 12 or speech_rate < 500:  # of the shortest the half may be the whole
        assert doubt(one, pcm(factor * len(text) * 1000 / 4 / 2)) == "nls.truncated"


def test_nothing_half_samples_and_silence_fail() -> None:
    one = utterance("Press one.")
    assert doubt(one, Pcm(b"", 8000)) == "nls.truncated"
    assert doubt(one, Pcm(pcm(800).samples + b"\1", 8000)) == "nls.truncated"
    assert doubt(one, Pcm(bytes(12800), 8000)) == "nls.unproved"


def test_silence_is_right_at_volume_zero() -> None:
    prove(utterance("Press one.", volume=0), Pcm(bytes(12800), 8000))


def test_far_too_long_another_rate_and_files_fail() -> None:
    one = utterance("Press one.")
    assert doubt(one, pcm(20_000)) == "nls.unproved"
    assert doubt(one, pcm(800, 16000)) == "nls.unproved"
    assert doubt(one, Pcm(b"RIFF" + pcm(800).samples, 8000)) == "nls.unproved"


def test_ordered_pauses_must_be_there() -> None:
    one = utterance("<speak>One moment. <break time='4s'/> Thank you.</speak>", is_ssml=True)
    prove(one, pcm(6000))
    assert doubt(one, pcm(2500)) == "nls.truncated"


def test_no_more_is_read_than_could_be_whole() -> None:
    _, most_ms = bounds_ms(predict("Press one."))
    assert 16 * most_ms <= most_bytes(utterance("Press one.")) <= 16 * most_ms + 70_000
    endless = utterance("<speak bgm='http://x/y'>hi</speak>", is_ssml=True)
    assert most_bytes(endless) < 16 * 600_000 + 70_000
