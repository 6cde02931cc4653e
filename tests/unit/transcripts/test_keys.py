"""Any text can be a recording's name: its job, its files and its look-ups are its own."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.transcripts import publish
from functions.transcripts.job import Job, job_id
from functions.transcripts.marks import index_of_call, index_of_key
from functions.transcripts.source import tenant_of
from unit.transcripts.scene import Scene, mono, speech

CALL = mono(speech(100))

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400).filter(lambda n: n[-1] != "/")


def job_for(key: str) -> Job:
    return Job(job_id("recordings", key, "E"), "recordings", key, "E", 1, tenant_of(key), None)


@given(names)
@settings(max_examples=60, deadline=None)
def test_any_name_ends_in_an_outcome_and_leaves_nothing_open(name: str) -> None:
    scene = Scene()
    key = f"in/acme/{name}"
    asyncio.run(scene.deliver(scene.upload(key, CALL)))
    job = scene.job(key, CALL)
    assert job.latest.published
    assert scene.keys("open/") == []
    done = job.latest.terminal is not None and job.latest.terminal.verdict.state == "done"
    assert done == publish.fits(job)
    assert all((output in scene.recordings.objects) == done for output in publish.outputs(job).values())


@given(names)
def test_every_key_of_a_name_that_fits_is_short_enough_for_storage(name: str) -> None:
    job = job_for(f"in/acme/{name}")
    if publish.fits(job):
        keys = [*publish.outputs(job).values(), *publish.kept(job, 999).values(), publish.quarantined(job)]
        assert all(len(key.encode()) <= 1023 for key in keys)


@given(names, names)
def test_two_names_never_share_a_file_a_job_or_an_index(one: str, other: str) -> None:
    first, second = job_for(f"in/acme/{one}"), job_for(f"in/acme/{other}")
    same = one == other
    assert (first.id == second.id) == same
    assert (set(publish.outputs(first).values()) == set(publish.outputs(second).values())) == same
    assert (index_of_key("recordings", first.key) == index_of_key("recordings", second.key)) == same


@given(names)
def test_an_output_never_lies_where_it_would_be_taken_for_a_recording(name: str) -> None:
    job = job_for(f"in/acme/{name}")
    for key in (*publish.outputs(job).values(), *publish.kept(job, 1).values(), publish.quarantined(job)):
        assert not key.startswith("in/")


def test_a_call_id_of_two_tenants_is_two_calls() -> None:
    assert index_of_call("acme", "1") != index_of_call("other", "1")
