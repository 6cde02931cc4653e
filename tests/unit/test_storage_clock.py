"""The clock that OSS's answers set."""

from __future__ import annotations

from isikit.storage_clock import StorageClock


class Machine:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_machine_that_is_right_is_left_alone_although_dates_are_cut_off() -> None:
    machine = Machine(1000.9)
    clock = StorageClock(machine)
    clock.heard(1000.0, 1000.8)
    assert clock.now() == 1000.9


def test_a_slow_answer_does_not_make_it_jump() -> None:
    machine = Machine(0.0)
    clock = StorageClock(machine)
    clock.heard(600.0, 0.0)
    machine.now = 20.0
    clock.heard(605.0, 5.0)  # OSS answered at once, and it took 15 seconds to come
    assert clock.skew_seconds == 600.0


def test_an_answer_that_was_frozen_on_its_way_tells_nothing_new() -> None:
    machine = Machine(0.0)
    clock = StorageClock(machine)
    clock.heard(300.0, 0.0)
    machine.now = 7200.0
    clock.heard(300.0, 0.0)
    assert clock.skew_seconds == 300.0
