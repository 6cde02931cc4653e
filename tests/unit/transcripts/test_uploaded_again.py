"""The same bytes uploaded again: worked on anew where that changes something, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, get_args

import pytest

from functions.transcripts.job_view import by_place
from isikit.errors import IsiError, SpeechError
from unit.transcripts.scene import Scene, mono, silence, speech
from unit.transcripts.tripwire import Killed, Kind, Tripwire, When

KEY = "in/acme/a.wav"
PLACE = "transcripts/acme/a.wav"
A = mono(speech(1000))
B = mono(speech(2000) + silence(500))


def told_at(scene: Scene, path: str = f"{PLACE}.json") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(scene.read(path))
    return told


async def upload(scene: Scene, data: bytes) -> bytes:
    """A second later, upload and deliver; the event."""
    scene.clock.move(1)
    event = scene.upload(KEY, data)
    await scene.deliver(event)
    return event


def states(scene: Scene, data: bytes) -> list[str | None]:
    return [each.terminal and each.terminal.verdict.state for each in scene.job(KEY, data).generations]


async def test_a_tenant_that_was_added_gets_its_transcript_when_the_recording_comes_again() -> None:
    scene = Scene()
    scene.tenants(other={8000: "narrow"})
    await upload(scene, A)
    assert states(scene, A) == ["quarantined"]
    scene.tenants(acme={8000: "narrow"})
    await upload(scene, A)
    assert states(scene, A) == ["quarantined", "done"]
    assert told_at(scene)["generation"] == 2
    assert scene.keys("open/") == []


async def test_a_recording_that_was_deleted_and_put_back_gets_its_transcript() -> None:
    scene = Scene()
    event = scene.upload(KEY, A)
    del scene.recordings.objects[KEY]
    await scene.deliver(event)
    await upload(scene, A)
    assert states(scene, A) == ["skipped", "done"]


async def test_a_recording_put_back_while_it_was_found_missing_gets_its_transcript() -> None:
    scene = Scene()
    event = scene.upload(KEY, A)
    del scene.recordings.objects[KEY]
    found = scene.recordings.get
    again: list[bytes] = []

    async def get(key: str, **named: Any) -> Any:
        nothing = await found(key, **named)
        if not again:
            again.append(scene.upload(KEY, A))
        return nothing

    scene.recordings.get = get  # type: ignore[method-assign]
    await scene.deliver(event)
    await scene.deliver(again[0])
    assert states(scene, A) == ["skipped", "done"]


@pytest.mark.parametrize("error", ["nls.appkey_unknown", "nls.audio_refused"])
async def test_what_failed_is_tried_again_when_it_is_uploaded_again(error: str) -> None:
    scene = Scene()
    scene.recognise.errors = [SpeechError(code=error)]
    await upload(scene, A)
    await upload(scene, A)
    assert states(scene, A) == ["failed", "done"]


async def test_a_transcript_comes_back_to_its_place_when_its_recording_does_and_is_not_paid_twice() -> None:
    scene = Scene()
    scene.recognise.texts = ["of A", "of B"]
    for data in (A, B, A):
        await upload(scene, data)
    assert [told_at(scene)[name] for name in ("text", "generation")] == ["of A", 2]
    assert told_at(scene, f"{PLACE}/g2/a.wav.json") == told_at(scene)
    assert scene.read(f"{PLACE}.txt") == "of A\n"
    assert len(scene.recognise.calls) == 2
    assert states(scene, A) == ["done", "done"]
    assert states(scene, B) == ["done"]


async def test_a_transcript_whose_own_copy_is_gone_is_made_again() -> None:
    scene = Scene()
    scene.recognise.texts = ["of A", "of B", "of A again"]
    for data in (A, B):
        await upload(scene, data)
    del scene.state.objects[next(key for key in scene.keys(f"attempts/{scene.job(KEY, A).id}/1/") if "txt" in key)]
    await upload(scene, A)
    assert told_at(scene)["text"] == "of A again"


async def test_a_recording_whose_transcript_lies_in_its_place_is_not_worked_on_again() -> None:
    scene = Scene()
    await upload(scene, A)
    before = scene.types(KEY, A)
    await upload(scene, A)
    assert scene.types(KEY, A) == before


async def test_a_transcript_that_was_taken_away_comes_back_with_an_upload_and_not_with_a_repeated_event() -> None:
    scene = Scene()
    event = await upload(scene, A)
    for key in scene.keys("transcripts/"):
        del scene.recordings.objects[key]
    await scene.deliver(event)
    assert scene.keys("transcripts/") == []
    await upload(scene, A)
    assert told_at(scene)["generation"] == 2
    assert len(scene.recognise.calls) == 1


async def test_a_repeated_event_opens_nothing_however_often_it_comes() -> None:
    scene = Scene()
    scene.tenants(other={8000: "narrow"})
    first = await upload(scene, A)
    second = await upload(scene, A)
    before = scene.types(KEY, A)
    assert before.count("generation") == 1
    for event in (first, second, second, first):
        await scene.deliver(event)
    assert scene.types(KEY, A) == before


async def test_an_event_of_an_upload_that_is_overwritten_since_opens_nothing() -> None:
    scene = Scene()
    for data in (A, B):
        await upload(scene, data)
    late = scene.upload(KEY, A)
    await upload(scene, B)
    await scene.deliver(late)
    assert states(scene, A) == ["done"]
    assert told_at(scene)["etag"] == scene.job(KEY, B).etag


async def test_generations_of_all_versions_are_told_by_age() -> None:
    scene = Scene()
    for data in (A, B, A):
        await upload(scene, data)
    told = await by_place("recordings", KEY, "acme", scene.process())
    assert [(job["id"], job["generation"]) for job in told] == [
        (scene.job(KEY, A).id, 1),
        (scene.job(KEY, B).id, 1),
        (scene.job(KEY, A).id, 2),
    ]
    assert told[-1]["outputs"]["json"] == f"{PLACE}.json"


async def test_two_deliveries_of_another_upload_at_once_open_one_generation() -> None:
    scene = Scene()
    for data in (A, B):
        await upload(scene, data)
    scene.recordings.turn = scene.state.turn = lambda: asyncio.sleep(0)
    scene.pause = scene.wait_a_turn
    event = scene.upload(KEY, A)
    await asyncio.gather(*(scene.deliver(event, request_id=f"1-{n}") for n in range(3)))
    types = scene.types(KEY, A)
    assert [types.count(each) for each in ("generation", "attempt", "terminal", "published")] == [1, 2, 2, 2]


def calls_of_the_third_upload() -> int:
    async def count() -> int:
        scene = Scene()
        for data in (A, B):
            await upload(scene, data)
        wire = Tripwire(scene)
        await upload(scene, A)
        return len(wire.calls)

    return asyncio.run(count())


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("when", get_args(When))
@pytest.mark.parametrize("at", range(1, calls_of_the_third_upload() + 1))
async def test_a_struck_call_leaves_the_right_transcript_in_place_and_one_outcome_a_generation(
    at: int, when: When, kind: Kind
) -> None:
    scene = Scene()
    recogniser = scene.recognise
    recogniser.texts = ["of A", "of B"]
    for data in (A, B):
        await upload(scene, data)
    wire = Tripwire(scene)
    scene.clock.move(1)
    event = scene.upload(KEY, A)
    wire.arm(at, when, kind)
    with contextlib.suppress(IsiError, Killed):
        await scene.deliver(event)
    wire.revive()
    for _ in range(2):
        await scene.deliver(event)
    assert told_at(scene)["text"] == "of A"
    assert len(recogniser.calls) == 2
    records = scene.records(KEY, A)
    outcomes = [record["generation"] for record in records if record["type"] == "terminal"]
    assert outcomes == [1, 2]
    assert scene.keys("open/") == []
