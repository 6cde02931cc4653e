"""WAV: the header that strict players accept, and a reader for what others wrote."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isikit.audio import wav
from isikit.errors import AudioError


def test_pcm_has_a_header_of_44_bytes_with_true_sizes() -> None:
    file = wav.write(b"\x01\x02" * 8000, 8000)
    assert len(file) == 44 + 16000
    assert struct.unpack("<4sI4s4sIHHIIHH4sI", file[:44]) == (
        *(b"RIFF", 36 + 16000, b"WAVE", b"fmt ", 16),
        *(1, 1, 8000, 16000, 2, 16, b"data", 16000),
    )


@pytest.mark.parametrize(("encoding", "tag"), [("alaw", 6), ("mulaw", 7)])
def test_g711_has_the_extended_format_and_a_fact_chunk(encoding: str, tag: int) -> None:
    file = wav.write(b"\xff" * 800, 8000, encoding=encoding)
    assert len(file) == 58 + 800
    assert struct.unpack("<4sIHHIIHHH4sII4sI", file[12:58]) == (
        *(b"fmt ", 18, tag, 1, 8000, 8000, 1, 8, 0),
        *(b"fact", 4, 800, b"data", 800),
    )


def test_an_odd_number_of_codes_is_padded_outside_the_data() -> None:
    file = wav.write(b"\xff" * 3, 8000, encoding="mulaw")
    assert len(file) == 62
    assert struct.unpack_from("<I", file, 4)[0] == len(file) - 8
    assert wav.read(file).data == b"\xff" * 3


def test_the_standard_library_reads_what_is_written() -> None:
    with wave.open(io.BytesIO(wav.write(b"\x01\x02\x03\x04" * 10, 16000, 2))) as reader:
        assert (reader.getnchannels(), reader.getframerate(), reader.getnframes()) == (2, 16000, 10)
        assert reader.readframes(10) == b"\x01\x02\x03\x04" * 10


@given(
    st.sampled_from(["pcm_s16le", "mulaw", "alaw"]),
    st.integers(1, 2),
    st.sampled_from([8000, 16000, 24000]),
    st.binary(max_size=200),
)
def test_what_is_written_is_read_back(encoding: str, channels: int, rate_hz: int, data: bytes) -> None:
    width = (2 if encoding == "pcm_s16le" else 1) * channels
    data = data[: len(data) // width * width]
    assert wav.read(wav.write(data, rate_hz, channels, encoding)) == wav.Wav(data, rate_hz, channels, encoding)


def test_other_chunks_are_skipped() -> None:
    file = wav.write(b"\x01\x02" * 4, 8000)
    other = file[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + file[12:]
    assert wav.read(other).data == b"\x01\x02" * 4


def test_a_streams_header_with_an_endless_length_ends_with_the_file() -> None:
    file = wav.write(b"\x01\x02" * 4, 8000)
    assert wav.read(file[:40] + b"\xff\xff\xff\xff" + file[44:]).data == b"\x01\x02" * 4


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        b"ID3" + bytes(60),
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEdata\2\0\0\0ab",
        wav.write(b"ab", 8000).replace(b"\x01\x00\x01\x00", b"\x03\x00\x01\x00"),
        wav.write(b"ab", 8000).replace(b"\x01\x00\x01\x00", b"\x01\x00\x00\x00"),
    ],
)
def test_what_is_no_wav_of_ours_is_refused(file: bytes) -> None:
    with pytest.raises(AudioError):
        wav.read(file)


def test_half_a_frame_and_unknown_encodings_are_refused() -> None:
    with pytest.raises(ValueError, match="within a frame"):
        wav.write(b"abc", 8000)
    with pytest.raises(ValueError, match="no such encoding"):
        wav.write(b"ab", 8000, encoding="mp3")
