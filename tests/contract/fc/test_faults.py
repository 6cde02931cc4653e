"""Faults of Function Compute, armed as `POST /faults` arms them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.fc import FunctionCompute

HTTP_CASES = [
    # armed, status of call 1 to 3, how often the function worked, instances that were used
    ({"action": "kill"}, [502, 200, 200], 2, 2),
    ({"action": "kill", "when": "after"}, [502, 200, 200], 3, 2),
    ({"action": "kill", "nth": 2}, [200, 502, 200], 2, 2),
    ({"action": "kill", "when": "after", "nth": 2}, [200, 502, 200], 3, 2),
    ({"action": "kill", "times": 2}, [502, 502, 200], 1, 3),
    ({"action": "error", "status": 429}, [429, 200, 200], 2, 1),
    ({"action": "error", "status": 500, "nth": 3}, [200, 200, 500], 2, 1),
    ({"action": "error", "status": 503, "code": "ResourceThrottled"}, [503, 200, 200], 2, 1),
    ({"action": "delay", "seconds": 0.05}, [200, 200, 200], 3, 1),
    ({"action": "kill", "subject": "/other"}, [200, 200, 200], 3, 1),
]


@pytest.mark.parametrize(("armed", "statuses", "worked", "instances"), HTTP_CASES)
async def test_an_instance_is_killed_or_refuses_at_the_nth_request(
    lab: Any, armed: Any, statuses: list[int], worked: int, instances: int
) -> None:
    url = await lab.create(instance_concurrency=5)
    lab.faults.arm(operation="fc.instance", **armed)
    seen = [await lab.status(f"{url}/note") for _ in statuses]
    assert seen == statuses
    assert lab.faults.counters()["fc.cold_start"] == instances
    rows = [json.loads(line) for line in (lab.root / "logs" / "fc-request-metrics.jsonl").read_text().splitlines()]
    done = [row for row in rows if not row["hasFunctionError"]]
    broken_after_the_work = armed["action"] == "kill" and armed.get("when") == "after" and statuses != [200] * 3
    assert len(done) + broken_after_the_work == worked


async def test_a_kill_after_the_event_took_effect_repeats_its_effect(lab: Any) -> None:
    await lab.create_function()
    lab.faults.arm(operation="fc.instance", action="kill", when="after")
    await lab.invoke({"n": 1}, asynchronous=True)
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts) == ("Succeeded", 2)
    assert [note["retry"] for note in lab.noted()] == [0, 1]


async def test_a_kill_before_the_event_took_effect_leaves_no_trace_of_it(lab: Any) -> None:
    await lab.create_function()
    lab.faults.arm(operation="fc.instance", action="kill", when="before")
    answer = await lab.invoke({"n": 1})
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    assert json.loads(answer.body)["errorMessage"].startswith("Process exited unexpectedly")
    assert lab.noted() == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_instance_is_frozen_while_the_clock_moves_by_minutes(lab: Any, when: str) -> None:
    url = await lab.create(instance_concurrency=2)
    before = await lab.get(url + "/state")
    started_at = lab.clock.now()
    lab.faults.arm(operation="fc.instance", action="freeze", when=when, seconds=600, value="0.3")
    slept_from = time.monotonic()
    assert await lab.status(url + "/state") == 200
    await lab.eventually(lambda: lab.clock.now() - started_at >= 600)
    after = await lab.get(url + "/state")
    assert after["pid"] == before["pid"], "it is the same instance, thawed"
    if when == "before":
        assert time.monotonic() - slept_from >= 0.3


async def test_a_frozen_process_stands_still(lab: Any) -> None:
    url = await lab.create(instance_concurrency=2)
    await lab.get(url + "/state")
    lab.faults.arm(operation="fc.instance", action="freeze", when="before", value="0.4", subject="/sleep")
    waiting = asyncio.ensure_future(lab.status(url + "/sleep?seconds=0"))
    instance = lab.fc.instances()[0]
    await lab.eventually(lambda: instance.frozen and instance.in_flight)
    await lab.eventually(lambda: "State:\tT" in Path(f"/proc/{instance.pid}/status").read_text())
    assert await waiting == 200


async def test_a_cold_start_can_be_slow_or_refused(lab: Any) -> None:
    url = await lab.create()
    lab.faults.arm(operation="fc.cold_start", action="error", status=503, code="ResourceThrottled")
    lab.faults.arm(operation="fc.cold_start", action="delay", seconds=0.4)
    async with lab.http.get(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "ResourceThrottled")
    began = time.monotonic()
    assert await lab.status(url) == 200
    assert time.monotonic() - began >= 0.4
    assert lab.faults.counters()["fc.cold_start"] == 2


async def test_throttling_makes_an_event_wait_and_not_fail(lab: Any) -> None:
    await lab.create_function()
    lab.faults.arm(operation="fc.instance", action="error", status=429, times=2)
    await lab.invoke({"n": 1}, asynchronous=True)
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts, len(lab.noted())) == ("Succeeded", 3, 1)
    assert lab.noted()[0]["retry"] == 0


async def test_a_platform_error_loses_an_event_for_ever(lab: Any) -> None:
    await lab.create_function()
    lab.faults.arm(operation="fc.instance", action="error", status=500)
    await lab.invoke({"n": 1}, asynchronous=True)
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts, lab.noted()) == ("Failed", 1, [])


DELIVERIES = [
    ({}, [1, 2]),
    ({"action": "lose"}, [2]),
    ({"action": "lose", "nth": 2}, [1]),
    ({"action": "lose", "times": 2}, []),
    ({"action": "duplicate"}, [1, 1, 2]),
    ({"action": "duplicate", "nth": 2}, [1, 2, 2]),
    ({"action": "reorder"}, [2, 1]),
    ({"action": "lose", "rate": 1.0}, []),
    ({"action": "lose", "subject": "other"}, [1, 2]),
]


@pytest.mark.parametrize(("armed", "seen"), DELIVERIES)
async def test_events_are_lost_repeated_and_reordered_on_demand(lab: Any, armed: Any, seen: list[int]) -> None:
    await lab.create_function()
    await lab.invoke({"n": 0})
    if armed:
        lab.faults.arm(operation="fc.async", **armed)
    for number in (1, 2):
        await lab.invoke({"n": number}, asynchronous=True)
    await lab.eventually(lambda: len(lab.fc.queue.finished) == len(seen) and not lab.fc.queue.depth())
    numbers = [json.loads(note["body"])["n"] for note in lab.noted()][1:]
    assert (numbers if armed.get("action") == "reorder" else sorted(numbers)) == seen


@pytest.mark.parametrize(
    ("operation", "action", "when"),
    [
        ("fc.instance", "explode", "before"),
        ("fc.instance", "error", "after"),
        ("fc.cold_start", "delay", "after"),
        ("fc.async", "kill", "before"),
        ("fc.timer", "lose", "before"),
        ("fc.Nothing", "error", "before"),
        ("fc.InvokeFunction", "lose", "before"),
    ],
)
def test_a_fault_that_could_not_strike_is_refused_when_it_is_armed(operation: str, action: str, when: str) -> None:
    with pytest.raises(ValueError, match=operation.partition(".")[2] or "operation"):
        FunctionCompute.check_fault(operation, action, when)


@pytest.mark.parametrize(
    ("operation", "action", "when"),
    [
        ("fc.instance", "kill", "after"),
        ("fc.InvokeFunction", "error", "after"),
        ("fc.*", "error", "before"),
        ("oss.PutObject", "anything", "before"),
    ],
)
def test_a_fault_that_can_strike_is_taken(operation: str, action: str, when: str) -> None:
    FunctionCompute.check_fault(operation, action, when)
