"""The timer's way through the open jobs: what it costs, and that nobody waits for ever behind others."""

from __future__ import annotations

import json

import pytest

from functions.transcripts.recording import resume
from functions.transcripts.sweep import sweep
from isikit.errors import SpeechUnavailable
from isikit.host.context import Deadline
from unit.transcripts.scene import Scene, mono, silence, speech

LONG = mono(speech(1000) + silence(61_000))


async def submitted(count: int) -> Scene:
    scene = Scene()
    scene.with_queue()
    for number in range(count):
        await scene.deliver(scene.upload(f"in/acme/{number}.wav", LONG))
    return scene


async def test_finished_jobs_cost_nothing_and_open_ones_one_listing() -> None:
    scene = Scene()
    for number in range(20):
        await scene.deliver(scene.upload(f"in/acme/short-{number}.wav", mono(speech(300))))
    scene.state.calls.clear()
    assert await scene.tick() == {"jobs": [], "skipped": 0}
    assert dict(scene.state.calls) == {"list": 1, "tail": 1}
    assert scene.recordings.calls["list"] == 1


async def test_every_open_job_has_its_turn_over_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.transcripts.sweep.PAGE", 5)
    scene = await submitted(12)
    assert scene.service is not None
    found = await scene.tick()
    assert len(found["jobs"]) == len({job["id"] for job in found["jobs"]}) == 12
    assert scene.service.asked == 12


async def test_it_begins_at_another_shard_each_minute() -> None:
    scene = await submitted(12)
    orders = []
    for _ in range(16):
        orders.append([job["id"] for job in (await scene.tick())["jobs"]])
        scene.clock.move(60)
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(orders[0]))}
    assert len({order[0] for order in orders}) > 1


async def test_it_stops_when_its_time_is_over() -> None:
    scene = await submitted(3)
    assert await sweep(scene.process(), Deadline.after(-1), "1-timer") == []


async def test_trouble_with_one_job_does_not_keep_the_others_from_their_turn() -> None:
    scene = await submitted(3)
    service = scene.service
    assert service is not None
    service.end("hello")
    first = sorted(scene.keys("jobs/"))[0]
    scene.state.fail("tail", key=first)
    ended = [job["outcome"] for job in (await scene.tick())["jobs"]]
    assert ended == ["ended", "ended"]
    assert [job["outcome"] for job in (await scene.tick())["jobs"]] == ["ended"]


async def test_an_attempt_that_was_given_back_and_whose_event_is_lost_is_made_by_the_timer() -> None:
    scene = Scene()
    scene.recognise.errors = [SpeechUnavailable()]
    event = scene.upload("in/acme/a.wav", mono(speech(300)))
    try:
        await scene.deliver(event)
    except SpeechUnavailable:
        scene.clock.move(90)
        await scene.tick()
    assert json.loads(scene.read("transcripts/acme/a.wav.json"))["text"] == "text 2"
    assert scene.keys("open/") == []


async def test_a_job_that_nobody_knows_is_told_so() -> None:
    scene = Scene()
    found = await resume("0" * 64, scene.process(), Deadline.after(10))
    assert found.outcome == "unknown"
    assert scene.keys("jobs/") == []


async def test_a_round_says_how_old_the_oldest_job_is_at_least(capsys: pytest.CaptureFixture[str]) -> None:
    scene = await submitted(1)
    for hours, least in ((0, 0), (5, 4 * 3600)):
        scene.clock.move(3600 * hours)
        capsys.readouterr()
        await scene.tick()
        (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "sweep.finished" in line]
        assert least <= line["oldest_seconds"] <= 3600 * hours
    (mark,) = scene.keys("open/")
    scene.state.objects[f"{mark}.{scene.clock.now() + 60:.0f}.0"] = scene.state.objects.pop(mark)  # it waits
    capsys.readouterr()
    await scene.tick()
    assert '"oldest_seconds":0' in capsys.readouterr().out
