"""Every call of a clean run fails once, before or after its effect, as an error or as the death of the process.

Then the event is delivered again, twice and at the same time. Whatever happened: one terminal record, files that
belong to it, nothing left open, and no call paid again once the job is done.
"""

from __future__ import annotations

import asyncio
import json
from typing import get_args

import pytest

from isikit.errors import IsiError
from unit.transcripts.scene import Scene, mono, silence, speech
from unit.transcripts.tripwire import Killed, Kind, Tripwire, When

KEY = "in/acme/call 1.wav"
PLACE = "transcripts/acme/call 1.wav"
QUARANTINED = "quarantine/acme/call 1.wav"
CALL = mono(speech(1000) + silence(500))
BROKEN = b"not audio"


async def run_until_done(scene: Scene, event: bytes) -> None:
    """Deliver as the platform would: again after an error, twice in a row, and twice at the same time."""
    for attempt in range(2):
        await scene.deliver(event, request_id=f"1-again-{attempt}")
    await asyncio.gather(*(scene.deliver(event, request_id=f"1-twin-{twin}") for twin in range(2)))


def calls_of_a_clean_run(data: bytes) -> list[str]:
    scene = Scene()
    wire = Tripwire(scene)
    asyncio.run(scene.deliver(scene.upload(KEY, data, {"call-id": "c-1"})))
    return wire.calls


def strikes(data: bytes) -> list[tuple[int, When, Kind]]:
    return [
        (at, when, kind)
        for at in range(1, len(calls_of_a_clean_run(data)) + 1)
        for when in get_args(When)
        for kind in get_args(Kind)
    ]


async def struck(data: bytes, at: int, when: When, kind: Kind) -> Scene:
    """A scene in which one call was struck, and the event then delivered until all is quiet."""
    scene = Scene()
    wire = Tripwire(scene)
    event = scene.upload(KEY, data, {"call-id": "c-1"})
    wire.arm(at, when, kind)
    try:
        await scene.deliver(event)
    except (IsiError, Killed):
        wire.revive()
    wire.revive()
    await run_until_done(scene, event)
    return scene


def assert_ended_once(scene: Scene, data: bytes) -> None:
    types = scene.types(KEY, data)
    assert types.count("received") == 1
    assert types.count("terminal") == 1
    assert types.count("published") == 1
    assert scene.job(KEY, data).latest.placed
    assert scene.keys("open/") == []
    assert len(scene.keys("index/key/")) == 1
    assert len(scene.keys("index/call/")) == 1


@pytest.mark.parametrize(("at", "when", "kind"), strikes(CALL))
async def test_a_struck_call_leaves_one_outcome_and_its_own_files(at: int, when: When, kind: Kind) -> None:
    scene = await struck(CALL, at, when, kind)
    assert_ended_once(scene, CALL)
    job = scene.job(KEY, CALL)
    terminal = job.latest.terminal
    assert terminal is not None
    assert terminal.verdict.state == "done"
    attempt = f"attempts/{job.id}/1/{terminal.attempt}/transcript"
    for name in ("json", "txt", "srt", "vtt"):
        made = scene.state.objects[f"{attempt}.{name}"].data
        assert scene.recordings.objects[f"{PLACE}.{name}"].data == made
        assert scene.recordings.objects[f"{PLACE}/g1/call 1.wav.{name}"].data == made
    assert json.loads(scene.read(f"{PLACE}.json"))["job_id"] == job.id


@pytest.mark.parametrize(("at", "when", "kind"), strikes(BROKEN))
async def test_a_struck_call_leaves_one_quarantine_with_its_report(at: int, when: When, kind: Kind) -> None:
    scene = await struck(BROKEN, at, when, kind)
    assert_ended_once(scene, BROKEN)
    assert scene.keys("quarantine/") == [QUARANTINED, f"{QUARANTINED}.report.json", f"{QUARANTINED}.report.txt"]


@pytest.mark.parametrize(("at", "when", "kind"), strikes(CALL))
async def test_a_finished_job_is_never_paid_again(at: int, when: When, kind: Kind) -> None:
    scene = Scene()
    recogniser = scene.recognise
    wire = Tripwire(scene)
    event = scene.upload(KEY, CALL)
    wire.arm(at, when, kind)
    try:
        await scene.deliver(event)
    except (IsiError, Killed):
        wire.revive()
    wire.revive()
    await scene.deliver(event)
    paid = len(recogniser.calls)
    assert paid <= 2
    await run_until_done(scene, event)
    assert len(recogniser.calls) == paid


async def test_a_clean_run_is_delivered_again_without_any_effect() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    await scene.deliver(event)
    before = {key: scene.recordings.objects[key] for key in scene.recordings.objects}
    journal = scene.records(KEY, CALL)
    await run_until_done(scene, event)
    assert scene.recordings.objects == before
    assert scene.records(KEY, CALL) == journal
    assert len(scene.recognise.calls) == 1
