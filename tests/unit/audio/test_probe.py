"""Decoding in the child process: what comes out of good, damaged, endless and hostile files."""

from __future__ import annotations

import asyncio
import audioop
import os
import random
import struct
import sys
import time
from pathlib import Path

import pytest

from isikit.audio import mp3, probe, wav
from isikit.audio.probe import Limits
from isikit.errors import AudioError
from unit.audio.recordings import encoded, interleaved
from unit.audio.tones import silence, sine

TONE = sine(440, 8000, 2000, 12000)


async def refusal(data: bytes, **arguments: object) -> AudioError:
    """The error that decoding raises."""
    with pytest.raises(AudioError) as caught:
        await probe.decode(data, **arguments)  # type: ignore[arg-type]
    return caught.value


async def test_8_khz_pcm_comes_out_bit_by_bit() -> None:
    decoded = await probe.decode(wav.write(TONE, 8000))
    assert decoded.channels == [TONE]
    assert (decoded.rate_hz, decoded.duration_ms, decoded.container, decoded.codec) == (8000, 2000, "wav", "pcm_s16le")


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("ipod", "aac", ("mov", "aac")),
        ("mov", "alac", ("mov", "alac")),
        ("ogg", "libopus", ("ogg", "opus")),
        ("flac", "flac", ("flac", "flac")),
        ("mp3", "libmp3lame", ("mp3", "mp3float")),
        ("wav", "adpcm_ima_wav", ("wav", "adpcm_ima_wav")),
        ("wav", "pcm_s24le", ("wav", "pcm_s24le")),
        ("wav", "pcm_f32le", ("wav", "pcm_f32le")),
    ],
)
async def test_every_kind_is_decoded_to_16_khz_with_its_sound(
    container: str, codec: str, name: tuple[str, str]
) -> None:
    decoded = await probe.decode(encoded([sine(440, 48000, 2000, 12000)], 48000, container, codec))
    assert (decoded.container, decoded.codec) == name
    assert (decoded.rate_hz, decoded.source_rate_hz, decoded.damaged) == (16000, 48000, 0)
    assert abs(decoded.duration_ms - 2000) <= 60
    (channel,) = decoded.channels
    assert abs(audioop.rms(channel[16000:48000], 2) - 8485) < 500
    crossings = audioop.cross(channel[16000:48000], 2)
    assert abs(crossings - 880) <= 4


async def test_g711_in_wav_is_decoded() -> None:
    decoded = await probe.decode(wav.write(b"\xff" * 8000, 8000, encoding="mulaw"))
    assert (decoded.channels, decoded.codec) == ([bytes(16000)], "pcm_mulaw")


async def test_two_channels_stay_apart() -> None:
    other = sine(700, 8000, 2000, 5000)
    decoded = await probe.decode(wav.write(interleaved(TONE, other), 8000, 2))
    assert decoded.channels == [TONE, other]


async def test_the_rate_asked_for_is_given() -> None:
    decoded = await probe.decode(wav.write(sine(440, 44100, 999), 44100), rate_hz=8000)
    samples = len(sine(440, 44100, 999)) // 2
    assert (decoded.rate_hz, len(decoded.channels[0]) // 2) == (8000, round(samples * 8000 / 44100))


async def test_a_file_of_a_few_samples_keeps_them() -> None:
    decoded = await probe.decode(wav.write(sine(440, 44100, 3), 44100))
    assert len(decoded.channels[0]) == 2 * round(132 * 16000 / 44100)


async def test_a_recorder_that_never_wrote_its_sizes_is_forgiven() -> None:
    file = wav.write(TONE, 8000)
    streamed = file[:4] + b"\xff" * 4 + file[8:40] + b"\xff" * 4 + file[44:]
    assert (await probe.decode(streamed)).channels == [TONE]


async def test_a_torn_file_gives_what_is_there() -> None:
    file = mp3.encode(sine(440, 16000, 4000), 16000)
    decoded = await probe.decode(file[: len(file) // 2])
    assert 1500 <= decoded.duration_ms <= 2200


async def test_a_hole_in_a_file_costs_the_hole() -> None:
    file = bytearray(encoded([sine(440, 48000, 4000, 12000)], 48000, "flac", "flac"))
    middle = len(file) // 2
    file[middle : middle + 4000] = random.Random(3).randbytes(4000)
    decoded = await probe.decode(bytes(file))
    assert 2500 <= decoded.duration_ms <= 4100


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b"fLaC" + random.Random(1).randbytes(5000),
        b"OggS" + random.Random(2).randbytes(5000),
        b"\0\0\0\x1cftypM4A " + random.Random(3).randbytes(5000),
        b"ID3\x04\0\0\0\0\0\0" + random.Random(4).randbytes(50),
    ],
)
async def test_rubbish_behind_a_good_beginning_is_unreadable(data: bytes) -> None:
    assert (await refusal(data)).code == "audio.unreadable"


async def test_nothing_recorded_is_empty() -> None:
    assert (await refusal(b"")).code == "audio.empty"
    assert (await refusal(wav.write(b"", 8000))).code == "audio.empty"


async def test_three_channels_are_refused() -> None:
    error = await refusal(wav.write(bytes(6 * 800), 8000, 3))
    assert (error.code, "3 channels" in error.detail) == ("audio.unreadable", True)


async def test_too_long_a_recording_is_refused_however_small_its_file() -> None:
    file = encoded([silence(8000, 60_000)], 8000, "flac", "flac")
    assert len(file) < 20_000
    error = await refusal(file, limits=Limits(max_seconds=59))
    assert (error.code, "59 seconds" in error.detail) == ("audio.too_long", True)
    assert (await probe.decode(file, limits=Limits(max_seconds=60))).duration_ms == 60_000


async def test_too_large_a_file_never_reaches_a_decoder() -> None:
    assert (await refusal(wav.write(TONE, 8000), limits=Limits(max_bytes=1000))).code == "audio.too_large"


async def test_too_little_memory_is_a_crash() -> None:
    error = await refusal(wav.write(TONE, 8000), limits=Limits(memory_bytes=30_000_000))
    assert error.code == "audio.crashed"


async def test_the_processor_limit_ends_the_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The child's own limits around a loop without an end, instead of a file whose decoding takes that long.
    busy = _interpreter(
        tmp_path,
        "import json, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from isikit.audio import child\n"
        "child._limit(child.Orders(**json.loads(sys.argv[-1])))\n"
        "while True: pass",
    )
    monkeypatch.setattr(sys, "executable", str(busy))
    error = await refusal(wav.write(TONE, 8000), limits=Limits(cpu_seconds=1, wall_seconds=60))
    assert (error.code, "processor time" in error.detail) == ("audio.crashed", True)


async def test_the_wall_limit_ends_a_child_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hanging = _interpreter(tmp_path, "import time; time.sleep(60)")
    monkeypatch.setattr(sys, "executable", str(hanging))
    began = time.monotonic()
    error = await refusal(wav.write(TONE, 8000), limits=Limits(wall_seconds=0.5))
    assert (error.code, time.monotonic() - began < 10) == ("audio.crashed", True)


async def test_a_cancelled_decoding_leaves_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    hanging = _interpreter(
        tmp_path, f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    monkeypatch.setattr(sys, "executable", str(hanging))
    task = asyncio.create_task(probe.decode(wav.write(TONE, 8000)))
    give_up = time.monotonic() + 20
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancellation_in_the_turn_in_which_the_child_ends_is_not_forgotten(
    turns: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    conversing, children = asyncio.Event(), []

    async def converse(process: asyncio.subprocess.Process, *_: object) -> None:
        children.append(process)
        conversing.set()
        await ended

    monkeypatch.setattr(probe, "_converse", converse)
    monkeypatch.setattr(sys, "executable", str(_interpreter(tmp_path, "import time; time.sleep(60)")))
    task = asyncio.create_task(probe.decode(wav.write(TONE, 8000)))
    await conversing.wait()
    ended.set_result(None)
    for _ in range(turns):
        await asyncio.sleep(0)
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    give_up = time.monotonic() + 20
    while children[0].returncode is None:
        assert time.monotonic() < give_up, "the child lives on"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"Z\0\0\0\0",
        b"H\xff\xff\xff\xff",
        b"0\0\0\0\x02ab",
        b"H\0\0\0\x02[]",
        b"H\0\0\0\x02{}E\0\0\0\x02{}",
        b'X\0\0\0\x21{"code":"x.y","detail":"anything"}',
    ],
)
async def test_a_child_that_was_taken_over_can_only_fail(
    said: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lying = _interpreter(tmp_path, f"import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write({said!r})")
    monkeypatch.setattr(sys, "executable", str(lying))
    assert (await refusal(wav.write(TONE, 8000))).code == "audio.crashed"


async def test_a_child_cannot_send_more_sound_than_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    header = b'{"channels":1,"rate_hz":8000,"source_rate_hz":8000,"codec":"x"}'
    said = b"H" + struct.pack(">I", len(header)) + header
    lying = _interpreter(
        tmp_path,
        f"import sys; sys.stdin.buffer.read(); out = sys.stdout.buffer; out.write({said!r})\n"
        "for _ in range(1000): out.write(b'0\\0\\1\\0\\0' + bytes(65536))",
    )
    monkeypatch.setattr(sys, "executable", str(lying))
    assert (await refusal(wav.write(TONE, 8000), limits=Limits(max_seconds=10))).code == "audio.crashed"


async def test_the_child_knows_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "hush")
    monkeypatch.setenv("ISI_BUCKET_STATE", "hush")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    note = tmp_path / "environment"
    telling = _interpreter(tmp_path, f"import os; open({str(note)!r}, 'w').write(repr(dict(os.environ)))")
    monkeypatch.setattr(sys, "executable", str(telling))
    await refusal(wav.write(TONE, 8000))
    assert "hush" not in note.read_text()
    assert "/somewhere" in note.read_text()


def _interpreter(folder: Path, program: str) -> Path:
    """An executable that runs `program` with the same arguments in place of the child."""
    script = folder / "python"
    body = folder / "body.py"
    body.write_text(program)
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S {body} "$@"\n')
    script.chmod(0o755)
    return script


async def test_measuring_tells_length_channels_and_levels_without_the_sound() -> None:
    loud, quiet = sine(440, 8000, 2000, 12000), silence(8000, 2000)
    measured = await probe.measure(wav.write(TONE, 8000))
    assert (measured.duration_ms, measured.channels, measured.source_rate_hz) == (2000, 1, 8000)
    assert (measured.container, measured.codec) == ("wav", "pcm_s16le")
    assert measured.levels[0] == pytest.approx(audioop.rms(TONE, 2), abs=2)
    assert measured.levels[1:] == (0, 0)
    same = await probe.measure(wav.write(interleaved(loud, loud), 8000, channels=2))
    assert (same.channels, same.levels[2]) == (2, 0)
    one = await probe.measure(wav.write(interleaved(loud, quiet), 8000, channels=2))
    assert (one.levels[1], one.levels[2]) == (0, one.levels[0])


@pytest.mark.parametrize(("data", "code"), [(b"RIFF\0\0\0\0WAVE", "audio.unreadable"), (b"", "audio.empty")])
async def test_measuring_refuses_what_decoding_refuses(data: bytes, code: str) -> None:
    with pytest.raises(AudioError) as caught:
        await probe.measure(data)
    assert caught.value.code == code


async def test_measuring_stops_at_the_longest_recording() -> None:
    with pytest.raises(AudioError) as caught:
        await probe.measure(wav.write(TONE, 8000), limits=Limits(max_seconds=1))
    assert caught.value.code == "audio.too_long"
