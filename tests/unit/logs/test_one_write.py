"""Lines of a request of the host go out together: at once where it matters, at the end of the turn at the latest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from isikit import logs
from isikit.host import context
from isikit.host.context import Deadline, RequestContext

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _framed() -> Iterator[None]:
    with context.entered(RequestContext("1-aa-bb-cc", Deadline.after(5), framed=True)):
        yield


def _out(capsys: Capture) -> list[str]:
    return capsys.readouterr().out.splitlines()


async def test_lines_are_held_until_the_turn_of_the_event_loop_is_over(capsys: Capture) -> None:
    with context.entered(RequestContext("1-aa-bb-cc", Deadline.after(5), framed=True)):
        logs.write("first")
        logs.write("second")
        assert _out(capsys) == []
        await asyncio.sleep(0)
        assert _out(capsys) == ["first", "second"]


async def test_a_warning_takes_what_was_held_along_at_once(capsys: Capture) -> None:
    with context.entered(RequestContext("1-aa-bb-cc", Deadline.after(5), framed=True)):
        logs.write("first")
        logs.event("library.warned", level="warning")
        held, warning = _out(capsys)
    assert held == "first"
    assert "library.warned" in warning


async def test_a_line_from_outside_of_a_request_comes_after_those_that_were_held(capsys: Capture) -> None:
    with context.entered(RequestContext("1-aa-bb-cc", Deadline.after(5), framed=True)):
        logs.write("first")
        await asyncio.to_thread(logs.write, "second")
        assert _out(capsys) == ["first", "second"]


def test_without_an_event_loop_nothing_is_held(capsys: Capture) -> None:
    logs.write("first")
    assert _out(capsys) == ["first"]


def test_a_loop_that_ends_leaves_no_line_behind(capsys: Capture) -> None:
    async def writes() -> None:
        logs.write("of a loop")

    for _ in range(2):
        asyncio.run(writes())
        assert _out(capsys) == ["of a loop"]
