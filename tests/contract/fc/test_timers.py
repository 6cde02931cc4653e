"""Timer triggers follow the services' clock (help.aliyun.com/document_detail/171746)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.fc import cron


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("@every 5m", "2026-03-01T00:00:00", "2026-03-01T00:05:00"),
        ("@every 1h30m", "2026-03-01T00:00:00", "2026-03-01T01:30:00"),
        ("0 0 4 * * *", "2026-03-01T03:59:59", "2026-03-01T04:00:00"),
        ("0 0 4 * * *", "2026-03-01T04:00:00", "2026-03-02T04:00:00"),
        ("CRON_TZ=Asia/Shanghai 0 0 8 * * *", "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
        ("0 */15 * * * *", "2026-03-01T10:14:59", "2026-03-01T10:15:00"),
        ("0 5/20 * * * *", "2026-03-01T10:26:00", "2026-03-01T10:45:00"),
        ("30 0 0 1 JAN ?", "2026-03-01T00:00:00", "2027-01-01T00:00:30"),
        ("0 30 20 ? * MON,WED,FRI", "2026-03-01T00:00:00", "2026-03-02T20:30:00"),
        ("0 0 0 ? * 7", "2026-03-02T00:00:00", "2026-03-08T00:00:00"),
        ("0 0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 13 * FRI", "2026-03-01T00:00:00", "2026-03-06T00:00:00"),
        ("0 0 10-12 * * *", "2026-03-01T12:00:00", "2026-03-02T10:00:00"),
        ("CRON_TZ=Europe/Berlin 0 30 2 * * *", "2026-03-28T12:00:00", "2026-03-30T00:30:00"),
    ],
)
def test_a_cron_expression_is_due(expression: str, after: str, due: str) -> None:
    assert cron.parse(expression)(epoch(after)) == epoch(due)


def test_a_date_that_never_comes_is_never_due() -> None:
    assert cron.parse("0 0 0 31 2 *")(epoch("2026-03-01T00:00:00")) == float("inf")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * * *",
        "@every 5",
        "@every 0s",
        "@hourly",
        "60 * * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 ? * 0",
        "0 0 0 * 13 *",
        "? * * * * *",
        "0 5-1 * * * *",
        "0 */0 * * * *",
        "0 */x * * * *",
        "CRON_TZ=No/Where 0 0 0 * * *",
        "CRON_TZ=../etc/passwd 0 0 0 * * *",
    ],
)
async def test_a_wrong_cron_expression_is_an_invalid_argument(lab: Any, expression: str) -> None:
    await lab.create_function()
    with pytest.raises(Exception, match="cronExpression") as caught:
        await lab.create_trigger("probe", "sweep", "timer", {"cronExpression": expression, "enable": True})
    error: Any = caught.value
    assert (error.status_code, error.code) == (400, "InvalidArgument")


async def add_timer(lab: Any, cron_expression: str, *, enable: bool = True, name: str = "sweep") -> None:
    config = {"cronExpression": cron_expression, "enable": enable, "payload": '{"sweep": true}'}
    await lab.create_trigger("probe", name, "timer", config)
    lab.fc.timers.tick()


async def fired(lab: Any, count: int) -> list[dict[str, Any]]:
    await lab.eventually(lambda: len(lab.fc.queue.finished) >= count)
    assert len(lab.fc.queue.finished) == count
    return [json.loads(note["body"]) for note in lab.noted()]


async def test_a_timer_fires_when_the_clock_is_moved_past_it(lab: Any) -> None:
    await lab.create_function()
    await add_timer(lab, "@every 5m")
    created_at = lab.clock.now()
    lab.clock.move(299)
    lab.fc.clock_moved()
    assert not lab.fc.queue.depth()
    lab.clock.move(2)
    lab.fc.clock_moved()
    event = (await fired(lab, 1))[0]
    assert event == {"triggerTime": event["triggerTime"], "triggerName": "sweep", "payload": '{"sweep": true}'}
    at = datetime.strptime(event["triggerTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert abs(at - (created_at + 300)) < 3


async def test_one_move_fires_a_trigger_at_most_once_for_its_last_due_time(lab: Any) -> None:
    await lab.create_function()
    await add_timer(lab, "0 0 * * * *")
    lab.clock.move(24 * 3600)
    lab.fc.clock_moved()
    lab.fc.clock_moved()
    event = (await fired(lab, 1))[0]
    hour = int(lab.clock.now() // 3600 * 3600)
    assert event["triggerTime"] == datetime.fromtimestamp(hour, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lab.clock.move(3600)
    lab.fc.clock_moved()
    await fired(lab, 2)


async def test_a_timer_fires_as_time_passes(lab: Any) -> None:
    await lab.create_function()
    await add_timer(lab, "@every 1s")
    await lab.eventually(lambda: len(lab.noted()) >= 2)


async def test_a_timer_that_is_not_enabled_or_is_deleted_does_not_fire(lab: Any) -> None:
    await lab.create_function()
    await add_timer(lab, "@every 5m", enable=False, name="off")
    await add_timer(lab, "@every 5m", name="gone")
    await add_timer(lab, "@every 5m", name="on")
    await lab.call("delete_trigger", "probe", "gone")
    lab.clock.move(301)
    lab.fc.clock_moved()
    assert [event["triggerName"] for event in await fired(lab, 1)] == ["on"]


async def test_a_changed_timer_counts_from_its_change(lab: Any) -> None:
    await lab.create_function()
    await add_timer(lab, "@every 1h")
    config = {"cronExpression": "@every 5m", "enable": True, "payload": ""}
    change = lab.models.UpdateTriggerInput(trigger_config=json.dumps(config))
    await lab.call("update_trigger", "probe", "sweep", lab.models.UpdateTriggerRequest(body=change))
    lab.fc.clock_moved()
    lab.clock.move(301)
    lab.fc.clock_moved()
    await fired(lab, 1)
