"""Log lines of a recording: what is counted stands in them, what was said and how the file is called does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isikit.errors import SpeechUnavailable
from unit.transcripts.scene import EVENTS, Scene, mono, speech

KEY = "in/acme/Mr Canary 13800138000.wav"
CALL = mono(speech(2000))
SAID = "my password is canary"


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


async def test_a_finished_job_is_one_line_with_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    await scene.deliver(event)
    await scene.deliver(event)
    finished = [line for line in lines(capsys.readouterr().out) if line["event"] == "job.finished"]
    assert len(finished) == 1
    wanted = {
        "tenant": "acme",
        "state": "done",
        "mode": "sentence",
        "audio_seconds": 2.0,
        "channels": 1,
        "turns": 1,
        "recognitions": 1,
        "duration_ms": 0,
        "attempt": 1,
        "generation": 1,
        "job_id": scene.job(KEY, CALL).id,
    }
    assert {name: finished[0].get(name) for name in wanted} == wanted


async def test_every_line_of_a_recording_carries_its_call(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, CALL, {"call-id": "c-1"}))
    told = {line["event"]: line.get("call_id") for line in lines(capsys.readouterr().out)}
    assert (told["job.received"], told["job.finished"]) == ("c-1", "c-1")


async def test_a_job_that_did_not_succeed_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    await scene.deliver(scene.upload(KEY, b""))
    finished = lines(capsys.readouterr().out)[-1]
    assert (finished["event"], finished["state"], finished["reason"]) == ("job.finished", "quarantined", "audio.empty")


async def test_what_is_passed_over_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    await Scene().deliver((EVENTS / "oss-other-bucket.json").read_bytes())
    (line,) = lines(capsys.readouterr().out)
    assert (line["event"], line["reason"], line["bucket_kind"]) == ("job.skipped", "event.other_bucket", "other")


async def test_neither_a_name_nor_a_text_is_ever_logged(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.recognise.texts = ["", SAID]
    scene.recognise.errors = [SpeechUnavailable(SAID)]
    event = scene.upload(KEY, CALL, {"call-id": "canary call"})
    with pytest.raises(SpeechUnavailable):
        await scene.deliver(event)
    await scene.deliver(event)
    assert SAID in scene.read("transcripts/acme/Mr Canary 13800138000.wav.txt")
    assert "anary" not in capsys.readouterr().out
