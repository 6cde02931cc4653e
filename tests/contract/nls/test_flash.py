"""Flash recognition of whole files: text, words, channels, silence and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contract.nls.conftest import CHINESE, Service
from isikit.errors import SpeechAudioRefused, SpeechError
from isikit.host.context import Deadline
from isikit.nls.flash import FlashOrder, FlashRecogniser
from support import recordings

SPOKEN = recordings.encoded("wav", recordings.speech(CHINESE))
SILENT = recordings.encoded("wav", bytes(64_000))


@pytest.fixture
async def flash(service: Service) -> AsyncIterator[FlashRecogniser]:
    made = FlashRecogniser(service.rest_url, 2)
    yield made
    await made.close()


def order(service: Service, **changes: object) -> FlashOrder:
    values: dict[str, object] = {
        "appkey": service.project.appkey, "format": "wav", "rate_hz": 16000, "first_channel_only": True
    }  # fmt: skip
    return FlashOrder(**{**values, **changes})  # type: ignore[arg-type]


async def test_a_file_becomes_sentences_with_words(service: Service, flash: FlashRecogniser) -> None:
    said = await flash.recognise(SPOKEN, order(service), service.token(), Deadline.after(20))
    assert "".join(sentence.text for sentence in said) == CHINESE
    assert all(sentence.words and sentence.start_ms < sentence.end_ms for sentence in said)
    assert "".join(word.text for sentence in said for word in sentence.words) == CHINESE


async def test_silence_is_nothing_said(service: Service, flash: FlashRecogniser) -> None:
    said = await flash.recognise(SILENT, order(service), service.token(), Deadline.after(20))
    assert said == ()


@pytest.mark.parametrize(
    ("data", "changes", "code"),
    [
        (b"not audio at all", {}, "nls.audio_undecodable"),
        (b"", {"appkey": "nobodysappkey000"}, "nls.appkey_unknown"),
        (b"", {"format": "flac"}, "nls.audio_format"),
    ],
)
async def test_refusals_are_ours(
    data: bytes, changes: dict[str, object], code: str, service: Service, flash: FlashRecogniser
) -> None:
    with pytest.raises(SpeechError) as caught:
        await flash.recognise(
            data or recordings.encoded("wav", recordings.speech("hello")),
            order(service, **changes),
            service.token(),
            Deadline.after(20),
        )
    assert caught.value.code == code


async def test_more_than_is_taken_is_not_sent(
    service: Service, flash: FlashRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isikit.nls.flash.MOST_BYTES", 10)
    with pytest.raises(SpeechAudioRefused):
        await flash.recognise(b"x" * 11, order(service), service.token(), Deadline.after(20))
    assert service.count("nls.flash") == 0
