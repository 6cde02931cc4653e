"""Masters and renditions: silence, peaks, encodings and exact lengths."""

from __future__ import annotations

import audioop
import math
from array import array

import pytest

from functions.prompts import mastering
from functions.prompts.rendition import RENDITIONS, Rendition, derive
from isikit.audio import g711, wav

RATE_HZ = 16000


def sine(milliseconds: int, amplitude: int = 12000, rate_hz: int = RATE_HZ, hz: int = 440) -> bytes:
    count = rate_hz * milliseconds // 1000
    return array("h", (round(amplitude * math.sin(2 * math.pi * hz * at / rate_hz)) for at in range(count))).tobytes()


def silence(milliseconds: int, rate_hz: int = RATE_HZ) -> bytes:
    return bytes(2 * rate_hz * milliseconds // 1000)


def edges_ms(pcm: bytes, rate_hz: int = RATE_HZ) -> tuple[float, float]:
    samples = array("h", pcm)
    loud = [at for at, sample in enumerate(samples) if abs(sample) > 50]
    return loud[0] * 1000 / rate_hz, (len(samples) - 1 - loud[-1]) * 1000 / rate_hz


@pytest.mark.parametrize(("head_ms", "tail_ms"), [(0, 0), (50, 10), (500, 700), (100, 20), (90, 40)])
def test_silence_at_head_and_tail_is_brought_to_measure(head_ms: int, tail_ms: int) -> None:
    master = mastering.join([silence(head_ms) + sine(300) + silence(tail_ms)], RATE_HZ)
    head, tail = edges_ms(master)
    assert head <= 100 and head <= head_ms + 1
    assert 20 <= tail <= 50
    assert len(master) % (2 * RATE_HZ // 1000) == 0


def test_the_tail_ends_in_true_silence_so_that_a_player_may_lose_it() -> None:
    assert mastering.join([sine(100)], RATE_HZ).endswith(bytes(2 * 44))


def test_a_quiet_voice_is_not_taken_for_silence() -> None:
    master = mastering.join([sine(300, amplitude=40)], RATE_HZ)
    assert len(master) == 2 * RATE_HZ * 340 // 1000


def test_breaks_that_ssml_asks_for_are_kept() -> None:
    spoken = silence(1000) + sine(100) + silence(1000)
    assert len(mastering.join([spoken], RATE_HZ, trim=False)) == len(spoken)


def test_pieces_are_joined_to_the_sample() -> None:
    pieces = [sine(123), sine(77, hz=300) + silence(30), silence(20) + sine(51)]
    master = mastering.join(pieces, RATE_HZ)
    assert master[: sum(map(len, pieces))] == b"".join(pieces)


def test_peaks_are_limited_without_clipping() -> None:
    master = mastering.join([sine(300, amplitude=32767)], RATE_HZ)
    assert 26000 < audioop.max(master, 2) <= 32767 * 10 ** (-1 / 20)
    samples = array("h", master)
    assert max(samples) > max(samples[1000:1010])  # still a sine, not a plateau


def test_what_is_quiet_is_not_turned_up() -> None:
    assert audioop.max(mastering.join([sine(300, amplitude=1000)], RATE_HZ), 2) <= 1000


@pytest.mark.parametrize("rendition", RENDITIONS.values(), ids=lambda each: each.filename)
def test_every_rendition_has_the_masters_length_to_the_sample(rendition: Rendition) -> None:
    master = mastering.join([sine(500, amplitude=32767)], RATE_HZ)
    derived = derive(master, RATE_HZ, rendition)
    assert derived.duration_ms == 540
    samples = 540 * rendition.sample_rate_hz // 1000
    if rendition.container == "wav":
        file = wav.read(derived.body)
        assert (file.encoding, file.rate_hz, file.channels) == (rendition.encoding, rendition.sample_rate_hz, 1)
        assert len(file.data) == samples * (2 if rendition.encoding == "pcm_s16le" else 1)
    elif rendition.container == "raw":
        assert len(derived.body) == samples
    else:
        assert derived.body[0] == 0xFF
    assert rendition.least_bytes(540) <= len(derived.body)


@pytest.mark.parametrize("rendition", RENDITIONS.values(), ids=lambda each: each.filename)
def test_the_same_master_gives_the_same_bytes(rendition: Rendition) -> None:
    master = mastering.join([sine(300)], RATE_HZ)
    assert derive(master, RATE_HZ, rendition) == derive(master, RATE_HZ, rendition)


@pytest.mark.parametrize("encoding", ["pcm_s16le", "mulaw", "alaw"])
def test_no_rendition_peaks_above_one_below_full_scale(encoding: str) -> None:
    loud = array("h", (32767 if at // 7 % 2 else -32768 for at in range(RATE_HZ))).tobytes()
    body = derive(mastering.join([loud], RATE_HZ), RATE_HZ, Rendition(encoding, "wav", 8000)).body
    data = wav.read(body).data
    pcm = {"mulaw": g711.decode_mulaw, "alaw": g711.decode_alaw}.get(encoding, bytes)(data)
    assert audioop.max(pcm, 2) <= 32767 * 10 ** (-1 / 20)


def test_pcm_in_wav_has_a_header_of_44_bytes_and_true_sizes() -> None:
    body = derive(mastering.join([sine(100)], RATE_HZ), RATE_HZ, Rendition("pcm_s16le", "wav", 8000)).body
    assert body[36:40] == b"data"
    assert int.from_bytes(body[40:44], "little") == len(body) - 44
    assert int.from_bytes(body[4:8], "little") == len(body) - 8


def test_a_master_of_8000_hz_is_only_wrapped_for_8000_hz() -> None:
    master = mastering.join([sine(100, rate_hz=8000)], 8000)
    assert derive(master, 8000, Rendition("pcm_s16le", "wav", 8000)).body[44:] == master


def test_names_extensions_and_types_are_those_that_players_go_by() -> None:
    assert {name: each.content_type for name, each in RENDITIONS.items()} == {
        "pcm_s16le-8000.wav": "audio/wav",
        "pcm_s16le-16000.wav": "audio/wav",
        "pcm_s16le-24000.wav": "audio/wav",
        "mulaw-8000.ulaw": "audio/basic",
        "mulaw-wav-8000.wav": "audio/wav",
        "alaw-8000.alaw": "audio/PCMA",
        "alaw-wav-8000.wav": "audio/wav",
        "mp3-16000.mp3": "audio/mpeg",
        "mp3-8000.mp3": "audio/mpeg",
        "mp3-24000.mp3": "audio/mpeg",
    }
