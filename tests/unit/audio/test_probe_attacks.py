"""Files that try to make a decoder read another file or reach the network: nothing is touched."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from isikit.audio import probe, wav
from isikit.audio.sniff import CONTAINERS
from isikit.errors import AudioError
from unit.audio.recordings import Trap, movie_whose_sound_lies_in, trap
from unit.audio.tones import sine

SECRET = sine(440, 8000)


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Trap]:
    """A file and a listening socket that must stay untouched."""
    with trap(tmp_path, SECRET) as one:
        yield one


def attacks(planted: Trap) -> dict[str, bytes]:
    """Files that name the planted file (absolute, and relative to the child's folder `/`) or the planted URL."""
    path, relative, url = planted.path, str(planted.path)[1:], planted.url
    port = url.split(":")[2].split("/")[0]
    return {
        "ffconcat": f"ffconcat version 1.0\nfile '{relative}'\n".encode(),
        "ffconcat, absolute": f"ffconcat version 1.0\nfile '{path}'\nfile '{url}'\n".encode(),
        "concat protocol": f"concat:{path}|{url}".encode(),
        "HLS file": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n".encode(),
        "HLS URL": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        "SDP": (
            f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        ).encode(),
        "DASH": (
            f'<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet><Representation id="1">'
            f"<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ).encode(),
        "data reference": movie_whose_sound_lies_in(str(path), bytes(16000), 8000),
        "data reference by URL": movie_whose_sound_lies_in(url, bytes(16000), 8000),
    }


def test_the_trap_springs_and_the_attacks_are_real(planted: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """With FFmpeg's guards off the same files do open the planted one; otherwise the tests below prove nothing."""
    monkeypatch.chdir("/")
    concat = attacks(planted)["ffconcat"]
    with av.open(io.BytesIO(concat)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 8000
    assert planted.sprung() == ["file"]
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    movie = attacks(planted)["data reference"]
    with av.open(io.BytesIO(movie), format="mov", container_options=options) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 8000
    assert planted.sprung() == ["file"]


@pytest.mark.parametrize("container", [None, *CONTAINERS])
async def test_no_recording_opens_a_file_or_a_connection(
    container: str | None, planted: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`None`: as uploaded. Else the check of the first bytes is taken out and the child has to hold alone."""
    if container is not None:
        monkeypatch.setattr(probe, "container_of", lambda head: container)
    for name, data in attacks(planted).items():
        with pytest.raises(AudioError) as caught:
            await probe.decode(data, limits=probe.Limits(wall_seconds=20))
        assert caught.value.code in ("audio.unreadable", "audio.empty"), name
        assert planted.sprung() == [], name


async def test_an_attack_inside_a_good_recording_is_only_bytes(planted: Trap) -> None:
    lists = attacks(planted)["ffconcat, absolute"]
    hidden = wav.write(SECRET, 8000) + b"LIST" + len(lists).to_bytes(4, "little") + lists
    assert (await probe.decode(hidden)).channels == [SECRET]
    assert planted.sprung() == []


async def test_the_child_can_open_nothing_once_it_decodes() -> None:
    """The last line of defence: the process has no descriptor left, whatever the decoder wants."""
    program = (
        "import socket, sys; sys.path[:0] = sys.argv[1:]\n"
        "from isikit.audio import child\n"
        "child._lock()\n"
        "for attempt in (lambda: open('/etc/hostname'), lambda: socket.socket()):\n"
        "    try: attempt(); print('opened')\n"
        "    except OSError as error: print(error.errno)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *sys.path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.split() == [b"24", b"24"]
