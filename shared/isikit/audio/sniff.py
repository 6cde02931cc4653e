"""Which container a file is, by its first bytes alone: no library sees a file whose kind is not on this list."""

from __future__ import annotations

from typing import Final

from isikit.errors import AudioError

CONTAINERS: Final = ("wav", "mp3", "mov", "ogg", "flac")
_MOV_ATOMS: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_KNOWN: Final = (
    (b"#EXTM3U", "an HLS playlist"),
    (b"ffconcat", "a list of files"),
    (b"v=0", "an SDP session"),
    (b"#!AMR", "AMR"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b".snd", "Sun audio"),
    (b"FORM", "AIFF"),
    (b"OpusHead", "bare Opus"),
    (b"\x30\x26\xb2\x75", "WMA"),
)


def container_of(head: bytes) -> str:
    """Name the container from the first 16 bytes or more.

    Returns
    -------
    str
        One of `CONTAINERS`, which are also FFmpeg's names of its demuxers.

    Raises
    ------
    AudioError
        `audio.empty` for no bytes, else `audio.unreadable` with what it looks like. Headerless audio (raw G.711, PCM)
        cannot be told from noise: it needs a rule per source.
    """
    if not head:
        raise AudioError("The file is empty.", code="audio.empty")
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"fLaC":
        return "flac"
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    if head[:3] == b"ID3" or _mpeg_audio(head):
        return "mp3"
    for start, name in _KNOWN:
        if head.startswith(start):
            raise AudioError(f"This is {name}, which is not read here.")
    if not head.strip(b"\0"):
        raise AudioError("The file begins with nothing but zero bytes.")
    raise AudioError("The file has no header of a kind that is read here; headerless audio needs a source rule.")


def _mpeg_audio(head: bytes) -> bool:
    """Whether a frame of MPEG layer 3 starts here (ISO 11172-3, 2.4.2.3: sync, version, layer, rates)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sample_rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bit_rate not in (0, 15) and sample_rate != 3
