"""The first bytes decide what a file may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isikit.audio.sniff import CONTAINERS, container_of
from isikit.errors import AudioError


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"OggS\0\x02", "ogg"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"\0\0\0\x1cftypM4A ", "mov"),
        (b"\0\0\0\x08wide", "mov"),
        (b"ID3\x04\0\0\0\0\0\0", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xe3h\xc0", "mp3"),
    ],
)
def test_five_kinds_of_file_are_known(head: bytes, container: str) -> None:
    assert container_of(head) == container


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"#EXTM3U\n", "playlist"),
        (b"ffconcat version 1.0\n", "list of files"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1", "SDP"),
        (b"#!AMR-WB\n", "AMR"),
        (b"RIFF\0\0\0\0AVI LIST", "no header"),
        (b"\xff\xf1\x50\x80", "no header"),
        (b"\xff\xff\xff\xff", "no header"),
        (bytes(64), "zero bytes"),
        (b"concat:/etc/passwd|/etc/group", "no header"),
    ],
)
def test_the_refusal_says_what_the_file_looks_like(head: bytes, name: str) -> None:
    with pytest.raises(AudioError, match=name) as caught:
        container_of(head)
    assert caught.value.code == "audio.unreadable"


def test_no_bytes_are_an_empty_file() -> None:
    with pytest.raises(AudioError) as caught:
        container_of(b"")
    assert caught.value.code == "audio.empty"


@given(st.binary(min_size=1, max_size=64))
def test_any_bytes_are_named_or_refused(head: bytes) -> None:
    try:
        assert container_of(head) in CONTAINERS
    except AudioError as error:
        assert error.detail.endswith(".")
