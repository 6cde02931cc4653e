"""Whose turn it is: the pace of a tenant's dumps, its quota of the day, priorities, recordings that still grow."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from typing import Any

import pytest

from functions.transcripts.job import REST_SECONDS
from functions.transcripts.job_view import by_place
from functions.transcripts.pacing import WINDOW_SECONDS, Booking, Pace, earliest
from functions.transcripts.sweep import PRIORITY_SECONDS, Mark, turns
from functions.transcripts.sweep_settling import SETTLING_SECONDS
from isikit.errors import LimitError, TokenError
from isikit.host.context import Deadline
from isikit.limits import Limits
from isikit.limits.day import seconds_left
from isikit.nls.filetrans import TaskAnswer
from isikit.tenants import Tenant
from unit.transcripts.scene import Scene, mono, silence, speech

HALF_MINUTE = mono(speech(300) + silence(29_700))
NOW = 1_700_000_000.0
ROLE = "acs:ram::1234567890123456:role/speech"


def with_tenant(**limits: Any) -> Scene:
    """A scene whose tenant has these fields, and whose quotas are counted by OSS's clock."""
    scene = Scene()
    file = json.loads(scene.state.objects["config/tenants.json"].data)
    file["tenants"][0].update(limits)
    scene._place(scene.state, "config/tenants.json", json.dumps(file).encode())
    counted = Limits(scene.state, clock=scene.clock.now)

    async def spend(tenant: Tenant, seconds: int) -> None:
        await counted.spend(tenant, "recognition_seconds", seconds)

    scene.spend = spend
    return scene


async def views(scene: Scene, count: int) -> list[dict[str, Any]]:
    return [(await by_place("recordings", f"in/acme/{n}.wav", "acme", scene.process()))[-1] for n in range(count)]


async def test_a_dump_is_paced_and_says_what_it_waits_for_and_until_when() -> None:
    scene = with_tenant(max_audio_hours_per_30min=1 / 60)  # two recordings of half a minute
    for n in range(5):
        outcome = (await scene.deliver(scene.upload(f"in/acme/{n}.wav", HALF_MINUTE)))["jobs"][0]["outcome"]
        assert outcome == ("ended" if n < 2 else "waiting")
    told = await views(scene, 5)
    assert [job["state"] for job in told] == ["done", "done", "waiting", "waiting", "waiting"]
    assert [job["reason"] for job in told] == [None, None, "limit.pace", "limit.pace", "limit.pace"]
    assert told[2]["expected_by"] == told[3]["expected_by"] < told[4]["expected_by"]
    done = []
    for _ in range(4):
        scene.clock.move(WINDOW_SECONDS / 2)
        await scene.tick()
        done.append([job["state"] for job in await views(scene, 5)].count("done"))
    assert done == [2, 4, 4, 5]
    assert scene.keys("open/") == []
    assert len(scene.recognise.calls) == 5


async def test_a_waiting_job_costs_a_round_nothing_but_its_place_in_the_listing() -> None:
    scene = with_tenant(max_audio_hours_per_30min=1 / 60)
    for n in range(5):
        await scene.deliver(scene.upload(f"in/acme/{n}.wav", HALF_MINUTE))
    scene.clock.move(60)
    before = scene.state.calls.copy()
    assert (await scene.tick())["jobs"] == []
    assert scene.state.calls - before == {"list": 1, "tail": 1}


async def test_an_event_that_comes_again_does_not_jump_the_queue_nor_book_twice() -> None:
    scene = with_tenant(max_audio_hours_per_30min=1 / 120)
    await scene.deliver(scene.upload("in/acme/0.wav", HALF_MINUTE))
    event = scene.upload("in/acme/1.wav", HALF_MINUTE)
    for _ in range(3):
        assert (await scene.deliver(event))["jobs"][0]["outcome"] == "waiting"
    bookings = [
        json.loads(line) for key in scene.keys("pacing/") for line in scene.state.objects[key].data.splitlines()
    ]
    assert len(bookings) == 2
    assert len(scene.recognise.calls) == 1


async def test_what_is_over_the_quota_of_the_day_waits_for_the_next_day() -> None:
    scene = with_tenant(quotas={"recognition_seconds": 40})
    for n in range(2):
        await scene.deliver(scene.upload(f"in/acme/{n}.wav", HALF_MINUTE))
    done, waiting = await views(scene, 2)
    assert (done["state"], waiting["state"], waiting["reason"]) == ("done", "waiting", "limit.quota")
    left = seconds_left(scene.clock.now())
    scene.clock.move(left - 60)
    await scene.tick()
    assert (await views(scene, 2))[1]["state"] == "waiting"
    scene.clock.move(120)
    await scene.tick()
    assert (await views(scene, 2))[1]["state"] == "done"
    assert scene.keys("open/") == []


@pytest.mark.parametrize("quota", [0, 29])
async def test_what_never_fits_into_a_day_fails_and_says_what_to_raise(quota: int) -> None:
    scene = with_tenant(quotas={"recognition_seconds": quota})
    await scene.deliver(scene.upload("in/acme/0.wav", HALF_MINUTE))
    terminal = scene.job("in/acme/0.wav", HALF_MINUTE).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("failed", "limit.quota")
    assert "recognition_seconds" in terminal.verdict.advice
    assert scene.recognise.calls == []


async def test_a_failed_attempt_is_not_counted_against_the_quota_again() -> None:
    scene = with_tenant(quotas={"recognition_seconds": 40})
    scene.recognise.errors = [LimitError(code="limit.quota")]  # any error that gives the attempt back
    event = scene.upload("in/acme/0.wav", HALF_MINUTE)
    with pytest.raises(LimitError):
        await scene.deliver(event)
    await scene.deliver(event)
    assert (await views(scene, 1))[0]["state"] == "done"


async def test_two_instances_never_book_more_than_the_measure() -> None:
    scene = Scene()
    scene.state.turn = lambda: asyncio.sleep(0)
    paces = [Pace(scene.state, scene.wait_a_turn) for _ in range(3)]
    starts = await asyncio.gather(
        *(paces[n % 3].book("acme", f"job {n}", 1, 600, 1800.0, scene.clock.now()) for n in range(12))
    )
    assert sorted(starts) == [scene.clock.now() + WINDOW_SECONDS * (n // 3) for n in range(12)]


def test_no_half_hour_holds_more_than_the_measure_and_nobody_is_overtaken() -> None:
    chance = random.Random(7)
    booked: list[Booking] = []
    now = NOW
    for n in range(400):
        now += chance.choice([0, 0, 0, 60, 900])
        seconds = chance.choice([10, 300, 900, 1799, 5000])
        booked.append(Booking(str(n), 1, earliest(booked, now, seconds, 1800.0), seconds))
        assert booked[-1].starts_at >= now
    assert all(one.starts_at <= two.starts_at for one, two in itertools.pairwise(booked))
    for last in booked:
        within = [each for each in booked if last.starts_at - WINDOW_SECONDS < each.starts_at <= last.starts_at]
        assert len(within) == 1 or sum(each.seconds for each in within) <= 1800


async def test_recordings_of_a_tenant_of_another_account_are_queued_and_asked_for_there() -> None:
    scene = with_tenant(role_arn=ROLE)
    service = scene.with_queue()
    await scene.deliver(scene.upload("in/acme/0.wav", mono(speech(1000) + silence(61_000))))
    assert (len(service.orders), scene.asked_accounts) == (1, [ROLE])
    service.end("hello")
    scene.tenants(acme={8000: "narrow", 16000: "wide"})  # the tenant has moved to our own account, the task has not
    await scene.tick()
    assert (await views(scene, 1))[0]["state"] == "done"
    assert scene.asked_accounts == [ROLE, ROLE]


async def test_a_role_that_is_refused_ends_a_recording_with_the_reason() -> None:
    scene = with_tenant(role_arn=ROLE)
    scene.with_queue().errors = [TokenError(code="pop.role_denied")]
    await scene.deliver(scene.upload("in/acme/0.wav", mono(speech(1000) + silence(61_000))))
    found = (await views(scene, 1))[0]
    assert (found["state"], found["reason"]) == ("failed", "pop.role_denied")


async def test_a_task_that_can_never_be_asked_for_ends_once_its_result_is_gone() -> None:
    scene = with_tenant(role_arn=ROLE)
    service = scene.with_queue()
    await scene.deliver(scene.upload("in/acme/0.wav", mono(speech(1000) + silence(61_000))))
    service.result = refused  # type: ignore[method-assign]
    for hours, state in ((1, "submitted"), (96, "submitted"), (2, "failed")):
        scene.clock.move(hours * 3600)
        await scene.tick()
        assert (await views(scene, 1))[0]["state"] == state
    assert (await views(scene, 1))[0]["reason"] == "recording.task_unreachable"
    assert scene.keys("open/") == []


async def refused(task: str, deadline: Deadline) -> TaskAnswer:
    raise TokenError(code="pop.role_denied")


def mark(shard: str, due_at: float | None = None, priority: int = 0) -> Mark:
    job = shard * 64
    tail = "" if due_at is None else f".{due_at:.0f}.{priority}"
    found = Mark.read(f"open/{shard}/20231114T22-{job}{tail}")
    assert found is not None
    return found


def test_those_whose_time_has_come_go_by_priority_and_age_and_others_are_in_between() -> None:
    marks = [mark("0"), mark("1", NOW - 60, 5), mark("2", NOW - 30, 9), mark("3", NOW + 1, 9), mark("4"), mark("5")]
    assert [each.shard for each in turns(marks, "4", NOW)] == ["2", "4", "1", "5", "0"]


def test_a_low_priority_is_overtaken_for_a_while_only() -> None:
    old, new = mark("1", NOW - 9 * PRIORITY_SECONDS - 1, 0), mark("2", NOW, 9)
    assert [each.shard for each in turns([new, old], "0", NOW)] == ["1", "2"]


def test_a_job_with_two_marks_has_one_turn() -> None:
    assert len(turns([mark("1"), mark("1", NOW - 5, 5)], "0", NOW)) == 1


@pytest.mark.parametrize("key", ["open/settling/abc", "open/x/20231114T22-" + "0" * 64, "open/0/" + "0" * 64, "open/"])
def test_what_is_no_mark_is_passed_over(key: str) -> None:
    assert Mark.read(key) is None


def appended(scene: Scene, key: str, data: bytes) -> bytes:
    """The event of an append, after which the object holds `data`."""
    event = json.loads(scene.upload(key, data))
    event["events"][0]["eventName"] = "ObjectCreated:AppendObject"
    return json.dumps(event).encode()


async def test_an_appended_recording_is_taken_once_it_has_stopped_growing() -> None:
    scene = Scene()
    key, whole = "in/acme/live 录音.wav", mono(speech(600))
    for size in (100, 1000, len(whole)):
        assert await scene.deliver(appended(scene, key, whole[:size])) == {"jobs": [], "skipped": 0}
        scene.clock.move(SETTLING_SECONDS - 1)
        assert (await scene.tick())["jobs"] == []
    scene.clock.move(1)
    await scene.tick()
    scene.clock.move(60)
    await scene.tick()
    assert scene.read("transcripts/acme/live 录音.wav.txt") == "text 1\n"
    assert len(scene.keys("jobs/")) == 1
    assert scene.keys("open/") == []


async def test_an_appended_recording_that_was_deleted_leaves_nothing() -> None:
    scene = Scene()
    await scene.deliver(appended(scene, "in/acme/a.wav", HALF_MINUTE))
    del scene.recordings.objects["in/acme/a.wav"]
    await scene.tick()
    assert scene.keys("open/") == scene.keys("jobs/") == []


async def test_a_settling_mark_that_cannot_be_read_is_taken_away() -> None:
    scene = Scene()
    await scene.state.put("open/settling/x", b"{", content_type="application/json")
    await scene.tick()
    assert scene.keys("open/") == []


async def test_a_failing_job_is_not_tried_by_the_timer_every_minute() -> None:
    scene = Scene()
    scene.recognise.errors = [LimitError() for _ in range(3)]
    with pytest.raises(LimitError):
        await scene.deliver(scene.upload("in/acme/0.wav", HALF_MINUTE))
    for _ in range(60):
        scene.clock.move(60)
        await scene.tick()
        if not scene.keys("open/"):
            break
    attempts = [each.began_at for each in scene.job("in/acme/0.wav", HALF_MINUTE).latest.attempts]
    assert len(attempts) == 4
    pauses = [later - sooner for sooner, later in itertools.pairwise(attempts)]
    assert all(pause >= rest for pause, rest in zip(pauses, REST_SECONDS, strict=True))
    assert (await views(scene, 1))[0]["state"] == "done"
