"""WAV files with true sizes: 44 bytes of header before PCM, 58 before G.711.

Players are strict: Asterisk refuses a data length of 0xFFFFFFFF (what encoders write to a pipe) and loses as many
bytes of the tail as the header is long, so PCM gets the shortest header there is and no other chunk. For G.711 the
format demands the extension size and a `fact` chunk (RIFF MCI 1994, "all non-PCM formats must have a fact chunk"):
18 + 12 bytes instead of 16.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from isikit.errors import AudioError

_TAGS: Final = {"pcm_s16le": 1, "alaw": 6, "mulaw": 7}
_ENCODINGS: Final = {tag: encoding for encoding, tag in _TAGS.items()}
_WIDTHS: Final = {"pcm_s16le": 2, "alaw": 1, "mulaw": 1}
_EXTENSIBLE: Final = 0xFFFE
_MAX_DATA: Final = 0xFFFFFFFF - 58


@dataclass(frozen=True, slots=True)
class Wav:
    """What a WAV file holds. `data` is in `encoding`: s16le samples, or one G.711 code a sample."""

    data: bytes = field(repr=False)
    rate_hz: int
    channels: int
    encoding: str


def write(data: bytes, rate_hz: int, channels: int = 1, encoding: str = "pcm_s16le") -> bytes:
    """Wrap samples in a WAV container; nothing is converted.

    Parameters
    ----------
    data
        Samples **already in** `encoding`, channels interleaved: a whole number of frames.
    encoding
        `pcm_s16le`, `mulaw` or `alaw`.

    Raises
    ------
    ValueError
        Half a frame, an unknown encoding, or more than RIFF's 4 GiB.
    """
    if encoding not in _TAGS:
        raise ValueError(f"no such encoding: {encoding}")
    width = _WIDTHS[encoding]
    block = width * channels
    if len(data) % block:
        raise ValueError("the data ends within a frame")
    if len(data) > _MAX_DATA:
        raise ValueError("too long for a WAV file")
    form = struct.pack("<HHIIHH", _TAGS[encoding], channels, rate_hz, rate_hz * block, block, width * 8)
    if encoding == "pcm_s16le":
        chunks = _chunk(b"fmt ", form)
    else:
        chunks = _chunk(b"fmt ", form + b"\0\0") + _chunk(b"fact", struct.pack("<I", len(data) // block))
    pad = b"\0" * (len(data) % 2)  # chunks are word-aligned; the pad is not counted in the data's own size
    size = 4 + len(chunks) + 8 + len(data) + len(pad)
    return b"".join(
        (b"RIFF", struct.pack("<I", size), b"WAVE", chunks, b"data", struct.pack("<I", len(data)), data, pad)
    )


def read(file: bytes) -> Wav:
    """Read a WAV file of one of the three encodings, as `write` or another encoder made it.

    Other chunks are skipped. A data chunk that claims more than there is (a stream's header) ends with the file.

    Raises
    ------
    AudioError
        `audio.unreadable`: not RIFF/WAVE, no `fmt ` or `data`, another encoding.
    """
    if len(file) < 12 or file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        raise AudioError("This is not a WAV file.")
    position = 12
    form: bytes | None = None
    while position + 8 <= len(file):
        name, size = file[position : position + 4], struct.unpack_from("<I", file, position + 4)[0]
        body = position + 8
        if name == b"fmt ":
            form = file[body : body + size]
        elif name == b"data":
            return _parse(form, file[body : body + size])
        position = body + size + size % 2
    raise AudioError("The WAV file has no data chunk.")


def _parse(form: bytes | None, data: bytes) -> Wav:
    if form is None or len(form) < 16:
        raise AudioError("The WAV file has no format before its data.")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack_from("<H", form, 24)[0]
    encoding = _ENCODINGS.get(tag)
    if encoding is None or bits != _WIDTHS[encoding] * 8:
        raise AudioError(f"WAV format {tag} with {bits} bits is not read here.")
    if not channels or not rate_hz:
        raise AudioError("The WAV header names no channels or no rate.")
    block = _WIDTHS[encoding] * channels
    return Wav(data[: len(data) // block * block], rate_hz, channels, encoding)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body
