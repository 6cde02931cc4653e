"""The current request, and its deadline by wall time."""

from __future__ import annotations

import asyncio
import re

import pytest

from isikit.errors import DeadlineExceeded
from isikit.host import context
from isikit.host.context import Deadline, RequestContext


class _Clock:
    now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr("isikit.host.context.time", clock)
    return clock


def test_a_deadline_runs_out_by_wall_time_also_while_frozen(clock: _Clock) -> None:
    deadline = Deadline.after(10)
    deadline.check()
    assert deadline.remaining() == 10
    clock.now += 3600  # a frozen process sees the clock jump
    assert deadline.remaining() == 0.0
    with pytest.raises(DeadlineExceeded):
        deadline.check()


def test_sooner_never_extends(clock: _Clock) -> None:
    assert Deadline.after(10).sooner(3) == Deadline.after(3)
    assert Deadline.after(3).sooner(10) == Deadline.after(3)


def test_outside_of_a_request_there_is_none() -> None:
    assert context.current_or_none() is None
    with pytest.raises(LookupError, match="entered"):
        context.current()
    context.update(tenant_id="acme")
    assert context.current_or_none() is None


def test_what_becomes_known_is_added_and_gone_afterwards() -> None:
    with context.entered(RequestContext("1", Deadline(0))):
        context.update(tenant_id="acme")
        context.update(call_id="c", tenant_id=None)
        assert (context.current().tenant_id, context.current().call_id) == ("acme", "c")
    assert context.current_or_none() is None


async def test_two_requests_at_once_do_not_see_each_other() -> None:
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None

    async def request(name: str) -> str | None:
        with context.entered(RequestContext(name, Deadline(0))):
            context.update(tenant_id=name)
            if both:
                await both.wait()
            await asyncio.sleep(0)
            return context.current().tenant_id

    assert await asyncio.gather(request("a"), request("b")) == ["a", "b"]


def test_new_ids_have_the_platforms_form_and_differ() -> None:
    ids = {context.new_request_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{12}", one) for one in ids)
