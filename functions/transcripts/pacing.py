"""When a recording's turn is: a tenant's `max_audio_hours_per_30min`, kept by all instances together.

File recognition takes up to a day instead of hours for whoever submits too much at once (over 500 hours of audio in
half an hour, the interface page of recording-file recognition), and a nightly dump must not keep everybody else's
calls waiting. So each recording is booked once, by compare-and-swap in `pacing/{tenant}/{day}.jsonl`, for the first
moment at which what begins within half an hour stays within the tenant's measure. First come, first served: no
booking is before one that was made earlier, so nobody is overtaken for ever.

A recording of more than the whole measure begins alone, and whatever comes next waits half an hour. A booking that
comes to nothing (the recording was deleted meanwhile) is not given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from isikit.errors import PositionConflict
from isikit.journal import Journal, JournalTorn, Snapshot
from isikit.limits.day import day_of, seconds_left
from isikit.objects import ObjectStore

WINDOW_SECONDS: Final = 1800.0
_DAY_SECONDS: Final = 86_400.0


class Booking(msgspec.Struct, frozen=True):
    """One recording's turn.

    Attributes
    ----------
    starts_at
        Seconds since the epoch, by OSS's clock.
    seconds
        Of its sound.
    """

    job: str
    generation: int
    starts_at: float
    seconds: int


def earliest(booked: Sequence[Booking], now: float, seconds: int, most_seconds: float) -> float:
    """The first moment, not before `now` or the last booking, that has room for `seconds` more.

    Parameters
    ----------
    booked
        In the order of their `starts_at`.
    most_seconds
        Of sound that may begin within any `WINDOW_SECONDS`.
    """
    moment = max(now, booked[-1].starts_at) if booked else now
    recent: list[Booking] = []
    for each in reversed(booked):
        if each.starts_at <= moment - WINDOW_SECONDS:
            break
        recent.append(each)
    taken = sum(each.seconds for each in recent)
    while recent and taken + seconds > most_seconds:
        oldest = recent.pop()
        taken -= oldest.seconds
        moment = max(moment, oldest.starts_at + WINDOW_SECONDS)
    return moment


@dataclass(slots=True)
class _Day:
    journal: Journal
    snapshot: Snapshot


class Pace:
    """The bookings of all tenants, as one instance sees them.

    Parameters
    ----------
    state
        The state bucket.
    pause
        Sleeps between attempts to append.
    """

    def __init__(self, state: ObjectStore, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._state = state
        self._pause = pause
        self._days: dict[tuple[str, str], _Day] = {}

    async def book(
        self, tenant_id: str, job: str, generation: int, seconds: int, most_seconds: float, now: float
    ) -> float:
        """The moment at which this generation may begin; the same one however often it is asked for in a day.

        Parameters
        ----------
        seconds
            Of its sound.
        most_seconds
            Of sound that may begin within half an hour.
        now
            By OSS's clock, seconds since the epoch.

        Raises
        ------
        StorageError
            OSS could not be asked; it may have been booked, and is found at the next try.
        """
        yesterday, today = day_of(now - _DAY_SECONDS), day_of(now)
        self._days = {key: each for key, each in self._days.items() if key[1] in (yesterday, today)}
        before = await self._bookings(tenant_id, yesterday)
        while True:
            booked = [*before, *await self._bookings(tenant_id, today)]
            mine = next((each for each in reversed(booked) if (each.job, each.generation) == (job, generation)), None)
            if mine is not None:
                return mine.starts_at
            moment = earliest(booked, now, seconds, most_seconds)
            day = self._days[tenant_id, today]
            try:
                day.snapshot = await day.journal.append(
                    msgspec.to_builtins(Booking(job, generation, moment, seconds)), day.snapshot
                )
            except PositionConflict:
                continue
            return moment

    async def _bookings(self, tenant_id: str, day: str) -> list[Booking]:
        key = (tenant_id, day)
        if key not in self._days:
            journal = Journal(self._state, f"pacing/{tenant_id}/{day}.jsonl", pause=self._pause)
            self._days[key] = _Day(journal, Snapshot((), 0, 0.0))
        known = self._days[key]
        known.snapshot = await known.journal.read()
        try:
            return [msgspec.convert(record, Booking) for record in known.snapshot.records]
        except msgspec.ValidationError as error:
            raise JournalTorn("a tenant's pace holds something else than bookings") from error


def next_day(now: float) -> float:
    """When the billing day after that of `now` begins, seconds since the epoch."""
    return now + seconds_left(now)
