"""Recordings whose event never came: found, each once, at a cost that finished jobs do not raise."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import hashlib
from typing import Any

import pytest

from functions.transcripts import sweep_lost, sweep_settling
from functions.transcripts.events import Created
from functions.transcripts.sweep_lost import CHECKPOINT, LOOK_BACK_SECONDS, MOST_LISTS, YOUNG_SECONDS, skipped_to
from isikit.errors import IsiError
from isikit.host.context import Deadline
from isikit.objects import Entry
from support.memory_store import MemoryStore
from unit.transcripts.scene import Scene, mono, speech
from unit.transcripts.tripwire import Killed, Tripwire

KEY = "in/acme/call 1.wav"
DATA = mono(speech(300))
DAY = 86_400.0


def lost(scene: Scene, key: str = KEY, data: bytes = DATA) -> None:
    """A recording whose event never comes."""
    scene.upload(key, data)


async def test_a_recording_whose_event_never_came_gets_its_transcript_once_it_is_old_enough() -> None:
    scene = Scene()
    lost(scene)
    scene.clock.move(YOUNG_SECONDS - 1)
    assert (await scene.tick())["jobs"] == []
    scene.clock.move(1)
    assert [job["outcome"] for job in (await scene.tick())["jobs"]] == ["ended"]
    assert scene.read("transcripts/acme/call 1.wav.txt") == "text 1\n"
    assert scene.keys("open/") == []
    for _ in range(3):
        scene.clock.move(60)
        assert (await scene.tick())["jobs"] == []
    assert len(scene.recognise.calls) == 1


async def test_an_event_that_comes_after_all_finds_the_job_done() -> None:
    scene = Scene()
    event = scene.upload(KEY, DATA)
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert (await scene.deliver(event))["jobs"][0]["outcome"] == "ended"
    assert len(scene.job(KEY, DATA).generations) == len(scene.recognise.calls) == 1


async def test_a_new_version_whose_event_never_came_is_found_under_a_known_key() -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, DATA))
    other = mono(speech(400))
    lost(scene, data=other)
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert scene.types(KEY, other).count("terminal") == 1
    assert scene.read("transcripts/acme/call 1.wav.txt") == "text 2\n"


async def test_the_same_bytes_uploaded_again_without_an_event_are_done_anew_where_they_failed() -> None:
    scene = Scene()
    scene.tenants(acme={})  # no AppKey yet
    await scene.deliver(scene.upload(KEY, DATA))
    scene.tenants(acme={8000: "narrow"})
    scene.clock.move(3600)
    lost(scene)
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert [each.terminal.verdict.state for each in scene.job(KEY, DATA).generations if each.terminal] == [
        "failed",
        "done",
    ]


async def test_recordings_from_before_all_this_are_not_paid_unasked() -> None:
    scene = Scene()
    lost(scene)
    scene.clock.move(LOOK_BACK_SECONDS + 1)
    assert (await scene.tick())["jobs"] == []
    assert scene.keys("jobs/") == []


async def test_folders_are_no_recordings() -> None:
    scene = Scene()
    lost(scene, "in/acme/")
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert scene.keys("jobs/") == []


async def test_a_job_that_was_received_and_never_filed_is_found_by_its_recording() -> None:
    scene = Scene()
    wire = Tripwire(scene)
    event = scene.upload(KEY, DATA)
    wire.arm(4, "before", "death")  # after the journal's first record
    with pytest.raises(Killed):
        await scene.deliver(event)
    wire.revive()
    assert scene.types(KEY, DATA) == ["received"]
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert scene.types(KEY, DATA)[-1] == "published"


async def test_a_mark_of_another_store_s_making_costs_a_look_and_no_second_job() -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, DATA))
    mark = "at/acme/call 1.wav"
    assert scene.state.objects[mark].data == hashlib.md5(DATA).hexdigest().upper().encode()
    del scene.state.objects[mark]
    scene.clock.move(YOUNG_SECONDS)
    assert (await scene.tick())["jobs"] == []
    assert mark in scene.state.objects
    assert scene.types(KEY, DATA).count("received") == 1


async def test_two_rounds_at_once_open_each_recording_once() -> None:
    for _ in range(10):
        scene = Scene()
        scene.pause = scene.wait_a_turn
        scene.state.turn = scene.recordings.turn = lambda: asyncio.sleep(0)
        for number in range(5):
            lost(scene, f"in/acme/{number}.wav")
        scene.clock.move(YOUNG_SECONDS)
        await asyncio.gather(*(scene.tick() for _ in range(3)))
        for number in range(5):
            types = scene.types(f"in/acme/{number}.wav", DATA)
            assert (types.count("received"), types.count("terminal"), types.count("published")) == (1, 1, 1)
        assert len(scene.recognise.calls) == 5


async def test_every_page_is_looked_at_whatever_their_marks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_lost, "PAGE", 4)
    scene = Scene()
    for number in range(23):
        await scene.deliver(scene.upload(f"in/acme/done/{number:02}.wav", DATA))
        if number % 3:
            del scene.recordings.objects[f"in/acme/done/{number:02}.wav"]  # its mark stays
    wanted = [f"in/acme/{place}.wav" for place in ("a", "done/07x", "done/22y", "é", "中", "🎈")]
    for key in wanted:
        lost(scene, key)
    scene.clock.move(YOUNG_SECONDS)
    for _ in range(40):
        scene.clock.move(60)
        await scene.tick()
    assert {job for key in wanted for job in scene.types(key, DATA)} >= {"terminal", "published"}
    assert len(scene.recognise.calls) == 8 + 15 + len(wanted)


@pytest.mark.parametrize("name", ["B", "\ue000", "é", "🎈"])
async def test_many_marks_of_deleted_recordings_right_before_it_hide_no_recording(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_lost, "PAGE", 4)
    scene = Scene()
    for number in range(9):
        await scene.state.put(f"at/acme/A{number}", b"", content_type="application/octet-stream")
    lost(scene, f"in/acme/{name}")
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert scene.types(f"in/acme/{name}", DATA)[-1] == "published"


def clean_round_calls() -> list[str]:
    scene = Scene()
    wire = Tripwire(scene)
    lost(scene)
    scene.clock.move(YOUNG_SECONDS)
    asyncio.run(scene.tick())
    return wire.calls


CALLS = clean_round_calls()


@pytest.mark.parametrize("kind", ["error", "death"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, len(CALLS) + 1))
async def test_whatever_call_of_a_round_is_struck_the_next_rounds_come_to_one_outcome(
    at: int, when: str, kind: str
) -> None:
    scene = Scene()
    wire = Tripwire(scene)
    lost(scene)
    scene.clock.move(YOUNG_SECONDS)
    wire.arm(at, when, kind)  # type: ignore[arg-type]
    with contextlib.suppress(IsiError, Killed):
        await scene.tick()
    wire.revive()
    for _ in range(4):
        scene.clock.move(400)
        await scene.tick()
    types = scene.types(KEY, DATA)
    assert (types.count("received"), types.count("terminal"), types.count("published")) == (1, 1, 1)
    assert scene.job(KEY, DATA).latest.terminal is not None
    assert scene.keys("open/") == []
    assert scene.read("transcripts/acme/call 1.wav.json")


class Million(MemoryStore):
    """A bucket with a million objects that nobody holds in memory: `{prefix}{folder}/{number}.wav`, and its own."""

    count = 1_000_000
    prefix = "in/"
    lists = 0
    uploaded_at = 0.0

    def key(self, number: int) -> str:
        return f"{self.prefix}acme/2023/{1 + number // 100_000:02}/10/{number:07}.wav"

    async def entries(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[Entry]:
        self.lists += 1
        assert limit <= 1000
        own = await super().entries(prefix, after=after, limit=limit)
        start = bisect.bisect_right(range(self.count), after, key=self.key)
        numbers = range(start, min(self.count, start + limit)) if self.prefix.startswith(prefix) else ()
        made = [Entry(self.key(number), 1, "A" * 32, self.uploaded_at) for number in numbers]
        return sorted([*own, *made], key=lambda entry: entry.key.encode())[:limit]


def million() -> tuple[Scene, Million, Million]:
    """A million finished jobs: recordings and their marks."""
    scene = Scene()
    recordings, state = Million("recordings", scene.clock), Million("state", scene.clock)
    state.prefix = "at/"
    recordings.cloud = state.cloud = {"recordings": recordings, "state": state}
    state.objects.update(scene.state.objects)
    scene.recordings, scene.state = recordings, state
    return scene, recordings, state


async def test_over_a_million_finished_jobs_a_round_costs_at_most_five_lists() -> None:
    scene, recordings, state = million()
    scene.clock.move(3 * 365 * DAY)
    for _ in range(30):
        recordings.lists = state.lists = 0
        before = recordings.calls + state.calls
        await scene.tick()
        assert recordings.lists + state.lists <= 1 + MOST_LISTS == 5
        asked = (recordings.calls + state.calls) - before
        assert asked.total() - asked["list"] <= 2  # the checkpoint, read and written: nothing for each job
        scene.clock.move(60)


async def test_among_a_million_finished_jobs_a_lost_one_of_today_is_found_within_minutes() -> None:
    scene, recordings, state = million()
    key = "in/acme/2023/11/15/new.wav"
    scene.clock.move(DAY)  # 2023-11-15
    lost(scene, key)
    scene.clock.move(YOUNG_SECONDS)
    rounds = 0
    while not scene.keys("jobs/"):
        rounds += 1
        assert rounds <= 40, state.objects[CHECKPOINT].data
        scene.clock.move(60)
        await scene.tick()
    assert scene.types(key, DATA)[0] == "received"
    assert rounds <= 12
    assert recordings.lists + state.lists <= 5 * rounds


async def test_among_a_million_recordings_in_old_folders_a_lost_one_is_found_by_the_walk_over_all() -> None:
    scene, _, state = million()
    key = "in/acme/2023/03/10/0200000 again.wav"
    scene.clock.move(DAY)
    lost(scene, key)
    scene.clock.move(YOUNG_SECONDS)
    for _ in range(250):
        await scene.tick()
        if any(name.startswith("jobs/") for name in state.objects):
            break
    assert scene.types(key, DATA)[0] == "received"


NOW = 1_700_000_000.0  # 2023-11-14


@pytest.mark.parametrize(
    ("key", "beyond"),
    [
        ("in/acme/2023/01/02/a.wav", "in/acme/2023/11/12"),
        ("in/acme/b/2023-01-02/a.wav", "in/acme/b/2023-11-12"),
        ("in/acme/20230102/a.wav", "in/acme/20231112"),
        ("in/acme/2023/11/12/a.wav", None),
        ("in/acme/2023/11/14/a.wav", None),
        ("in/acme/2024/01/01/a.wav", None),
        ("in/acme/2023/13/02/a.wav", None),
        ("in/acme/2023/01-02/a.wav", None),
        ("in/acme/20230102.wav", None),
        ("in/acme/call.wav", None),
    ],
)
def test_the_walk_over_recent_folders_jumps_to_the_oldest_day_that_may_be_new(key: str, beyond: str | None) -> None:
    assert skipped_to(key, NOW) == beyond
    assert beyond is None or beyond > key


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"recent": 1}', "中".encode("gb18030")])
async def test_a_checkpoint_that_cannot_be_read_is_begun_anew(data: bytes) -> None:
    scene = Scene()
    await scene.state.put(CHECKPOINT, data, content_type="application/json")
    lost(scene)
    scene.clock.move(YOUNG_SECONDS)
    await scene.tick()
    assert scene.types(KEY, DATA)[-1] == "published"


async def test_a_round_without_time_looks_at_nothing() -> None:
    scene = Scene()
    lost(scene)
    scene.clock.move(YOUNG_SECONDS)
    await sweep_lost.look(scene.process(), Deadline.after(-1), "1-timer")
    assert scene.recordings.calls["list"] == 0


async def test_a_recording_that_breaks_the_round_in_an_unforeseen_way_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    event = scene.upload("in/acme/grows.wav", DATA).replace(b"PutObject", b"AppendObject")
    await scene.deliver(event)
    lost(scene, "in/acme/a poison.wav")
    lost(scene)

    async def announce(created: Created, *told: Any) -> bool:
        if created.key != KEY:
            raise ZeroDivisionError
        return await announced(created, *told)

    announced = sweep_lost.announce
    monkeypatch.setattr(sweep_lost, "announce", announce)
    monkeypatch.setattr(sweep_settling, "announce", announce)
    scene.clock.move(YOUNG_SECONDS)
    assert [job["key"] for job in (await scene.tick())["jobs"]] == [KEY]
    assert scene.read("transcripts/acme/call 1.wav.txt") == "text 1\n"
