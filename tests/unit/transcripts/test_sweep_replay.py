"""Jobs done anew: one new generation for each that was found, whoever asks how often; and the operator's command."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from functions.transcripts.events import EventUnreadable
from ops.replay import Account, Item, Plan, ReplayError, Wanted, account, planned, run, send
from unit.transcripts.scene import BUCKET, Scene, etag_of, mono, speech

KEY = "in/acme/call 1.wav"
DATA = mono(speech(300))


def wish(job: str, generation: int) -> bytes:
    return Item(job, generation, "done", None, KEY).event()


async def done(scene: Scene) -> str:
    answer = await scene.deliver(scene.upload(KEY, DATA))
    return str(answer["jobs"][0]["id"])


async def test_a_replay_makes_a_new_generation_that_is_really_recognised_and_keeps_the_old_one() -> None:
    scene = Scene()
    job = await done(scene)
    answer = await scene.deliver(wish(job, 1))
    assert [(each["id"], each["outcome"], each["generation"]) for each in answer["jobs"]] == [(job, "ended", 2)]
    assert scene.read("transcripts/acme/call 1.wav.txt") == "text 2\n"
    assert scene.read("transcripts/acme/call 1.wav/g1/call 1.wav.txt") == "text 1\n"
    assert scene.keys("open/") == []


async def test_the_same_wish_again_or_at_the_same_time_changes_nothing_more() -> None:
    scene = Scene()
    job = await done(scene)
    scene.pause = scene.wait_a_turn
    await asyncio.gather(*(scene.deliver(wish(job, 1), request_id=f"1-{n}") for n in range(3)))
    await scene.deliver(wish(job, 1))
    assert len(scene.job(KEY, DATA).generations) == len(scene.recognise.calls) == 2


async def test_a_recording_that_is_gone_or_another_keeps_what_it_has() -> None:
    scene = Scene()
    job = await done(scene)
    del scene.recordings.objects[KEY]
    assert (await scene.deliver(wish(job, 1)))["jobs"][0]["generation"] == 1
    scene.upload(KEY, mono(speech(400)))
    assert (await scene.deliver(wish(job, 1)))["jobs"][0]["state"] == "done"
    assert len(scene.job(KEY, DATA).generations) == 1


async def test_a_wish_for_a_job_that_nobody_knows_makes_none() -> None:
    scene = Scene()
    assert (await scene.deliver(wish("0" * 64, 1)))["jobs"][0]["outcome"] == "unknown"
    assert scene.keys("jobs/") == []


@pytest.mark.parametrize(
    "told", [{}, [], "x", {"job": "../x", "generation": 1}, {"job": "0" * 64, "generation": 0}, {"job": "0" * 64}]
)
async def test_a_wish_that_names_no_job_is_refused(told: Any) -> None:
    with pytest.raises(EventUnreadable):
        await Scene().deliver(json.dumps({"replay": told}).encode())


async def three(scene: Scene) -> list[tuple[str, str]]:
    """A done, a failed and another done recording; as a listing shows them."""
    await scene.deliver(scene.upload("in/acme/1.wav", DATA))
    scene.tenants(acme={})
    scene.clock.move(60)
    await scene.deliver(scene.upload("in/acme/2.wav", DATA))
    scene.tenants(acme={8000: "narrow"})
    scene.clock.move(60)
    await scene.deliver(scene.upload("in/acme/3.wav", DATA))
    scene.upload("in/acme/4.wav", DATA)  # has no job
    return [(f"in/acme/{n}.wav", etag_of(DATA)) for n in range(1, 5)]


def chosen(scene: Scene, listed: list[tuple[str, str]], **wanted: Any) -> list[str]:
    def read(key: str) -> bytes:
        return scene.state.objects[key].data if key in scene.state.objects else b""

    return [item.key[-5] for item in planned(listed, BUCKET, read, Wanted("in/acme/", **wanted))]


async def test_a_plan_is_chosen_by_state_and_time_up_to_a_maximum() -> None:
    scene = Scene()
    began = scene.clock.now()
    listed = await three(scene)
    done, both = frozenset({"done"}), frozenset({"done", "failed"})
    assert chosen(scene, listed, states=frozenset({"failed"})) == ["2"]
    assert chosen(scene, listed, states=both) == ["1", "2", "3"]
    assert chosen(scene, listed, states=both, most=2) == ["1", "2"]
    assert chosen(scene, listed, states=done, since=began + 60) == ["3"]
    assert chosen(scene, listed, states=done, until=began + 60) == ["1"]


ITEMS = [Item(f"{n:064x}", 1, "failed", "nls.failed", f"in/acme/{n}.wav") for n in range(10)]


def test_a_plan_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "a.plan")
    plan.write(ITEMS)
    said: list[str] = []

    def interrupted(line: str) -> None:
        said.append(line)
        if len(said) == 4:
            raise KeyboardInterrupt  # as Ctrl-C does, in the main thread

    with pytest.raises(KeyboardInterrupt):
        send(plan, lambda _: None, 1, interrupted)
    left = plan.left()
    assert len(left) == 5  # the fifth was under way
    rest: list[bytes] = []
    assert send(plan, rest.append, 3, lambda _: None) == 0
    assert sorted(rest) == sorted(item.event() for item in left)
    assert plan.left() == []


def test_so_many_are_sent_at_once_and_trouble_with_one_is_told_and_left_for_later(tmp_path: Path) -> None:
    plan, said = Plan(tmp_path / "a.plan"), list[str]()
    plan.write(ITEMS)
    lock, now, most, gate = threading.Lock(), 0, 0, threading.Barrier(2, timeout=10)

    def invoke(event: bytes) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait()  # two are under way at once, or this fails
        with lock:
            now -= 1
        if event == ITEMS[3].event():
            raise OSError

    assert send(plan, invoke, 2, said.append) == 1
    assert most == 2
    assert plan.left() == [ITEMS[3]]
    assert [line for line in said if "not sent" in line] == ["not sent: in/acme/3.wav: OSError"]


def test_a_plan_is_not_written_over_and_what_is_none_is_refused(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "a.plan")
    plan.write(ITEMS)
    with pytest.raises(ReplayError):
        plan.write(ITEMS)
    (tmp_path / "b.plan").write_text('{"x": 1}\n')
    for name in ("b.plan", "c.plan"):
        with pytest.raises(ReplayError):
            Plan(tmp_path / name).left()


def test_a_key_is_sent_over_https_only_and_is_in_no_repr() -> None:
    found = dict.fromkeys(("REGION", "FUNCTION", "RECORDINGS", "STATE", "ACCESS_KEY_ID"), "x")
    environment = {f"TARGET_{name}": value for name, value in found.items()}
    environment |= {"TARGET_ACCESS_KEY_SECRET": "hush", "TARGET_OSS": "https://oss.example", "TARGET_FC": "https://fc"}
    told = account(None, environment)
    assert isinstance(told, Account)
    assert "hush" not in repr(told)
    for name in ("TARGET_OSS", "TARGET_FC"):
        with pytest.raises(ReplayError, match=name):
            account(None, {**environment, name: "http://oss.example"})
    with pytest.raises(ReplayError, match="TARGET_STATE"):
        account(None, {**environment, "TARGET_STATE": ""})


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    said: list[str] = []
    assert run(["--prefix", "in/acme/"], {}, said.append) == 2
    assert said[0].startswith("set TARGET_REGION")
    for wrong in ([], ["--prefix", "transcripts/"], ["--prefix", "in/", "--max", "0"]):
        with pytest.raises(SystemExit):
            run(wrong, {}, said.append)
