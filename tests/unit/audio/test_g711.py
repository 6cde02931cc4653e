"""G.711: the nearest code for every sample, and nothing lost on the way back."""

from __future__ import annotations

import audioop
import itertools
from array import array
from collections.abc import Callable

import pytest

from isikit.audio import g711

EVERY_SAMPLE = array("h", range(-32768, 32768)).tobytes()
EVERY_CODE = bytes(range(256))
LAWS = [
    pytest.param(g711.encode_mulaw, g711.decode_mulaw, audioop.ulaw2lin, 32124, id="mulaw"),
    pytest.param(g711.encode_alaw, g711.decode_alaw, audioop.alaw2lin, 32256, id="alaw"),
]
Law = Callable[[bytes], bytes]


@pytest.mark.parametrize(("encode", "decode", "reference", "largest"), LAWS)
def test_codes_decode_as_every_other_decoder_does(
    encode: Law, decode: Law, reference: Callable[[bytes, int], bytes], largest: int
) -> None:
    assert decode(EVERY_CODE) == reference(EVERY_CODE, 2)
    assert max(array("h", decode(EVERY_CODE))) == largest


@pytest.mark.parametrize(("encode", "decode", "reference", "largest"), LAWS)
def test_the_error_is_at_most_half_a_step_of_the_segment(
    encode: Law, decode: Law, reference: Callable[[bytes, int], bytes], largest: int
) -> None:
    values = sorted(set(array("h", decode(EVERY_CODE))))
    half_steps = dict.fromkeys(values, 0)
    for low, high in itertools.pairwise(values):
        for value in (low, high):
            half_steps[value] = max(half_steps[value], -(-(high - low) // 2))
    for sample, heard in zip(range(-32768, 32768), array("h", decode(encode(EVERY_SAMPLE))), strict=True):
        if abs(sample) <= largest:
            assert abs(sample - heard) <= half_steps[heard], sample
        else:
            assert abs(heard) == largest, sample


@pytest.mark.parametrize(("encode", "decode", "reference", "largest"), LAWS)
def test_no_other_code_is_nearer(
    encode: Law, decode: Law, reference: Callable[[bytes, int], bytes], largest: int
) -> None:
    values = array("h", decode(EVERY_CODE))
    heard = array("h", decode(encode(EVERY_SAMPLE)))
    for sample in range(-32768, 32768, 31):
        assert abs(sample - heard[sample + 32768]) == min(abs(sample - value) for value in values)


def test_every_code_survives_decoding_and_encoding_but_mulaws_negative_zero() -> None:
    assert g711.encode_alaw(g711.decode_alaw(EVERY_CODE)) == EVERY_CODE
    assert g711.encode_mulaw(g711.decode_mulaw(EVERY_CODE)) == EVERY_CODE.replace(b"\x7f", b"\xff")


def test_silence_is_the_code_that_lines_carry() -> None:
    assert g711.encode_mulaw(bytes(4)) == b"\xff\xff"
    assert g711.encode_alaw(bytes(4)) == b"\xd5\xd5"


@pytest.mark.parametrize("encode", [g711.encode_mulaw, g711.encode_alaw])
def test_half_a_sample_is_refused(encode: Law) -> None:
    with pytest.raises(ValueError, match="multiple of"):
        encode(b"\0\0\0")
