"""Daily quotas that hold over all instances, claimed in chunks from a journal.

`quotas/{tenant}/{name}/{day}.jsonl` holds one record per chunk: `{"by": who, "take": units}`, appended by
compare-and-swap and only while the sum of all stays within the quota. What was claimed is spent from memory. A negative
`take` hands back. So a crash loses at most the chunk that was held, and no interleaving spends more than the quota.

Each asker has a name of its own in the journal, and what it holds is always what the journal shows under that name,
less what it has spent: an append whose answer was lost, or whose caller went away, is found at the next look.

A chunk grows with demand (each twice the one before) and shrinks with what is left (a sixteenth of it): a quiet
instance holds little, and the last units are claimed one request at a time. That bounds the journal: about
`16 ln(quota / 16)` records, and a few for every instance that comes and goes.

The day is the billing day (UTC+8) by OSS's own `Date`, whole seconds; an instance's clock only bridges two answers.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from isikit import logs
from isikit.errors.tree import DeadlineExceeded, LimitError, Overloaded, PositionConflict, StorageError
from isikit.journal import Journal, JournalTorn, Record, Snapshot
from isikit.limits.day import day_of, seconds_left
from isikit.limits.refusal import LimitsUnavailable, quota_refused
from isikit.objects import ObjectStore

WhenDown = Literal["open", "closed"]

SHARES: Final = 16
"""A chunk is at most this part of what nobody has claimed yet."""
FIRST_CHUNK: Final = 4
"""Times what the first request needs."""
KNOWN_SECONDS: Final = 5.0
"""For so long a used-up quota is refused without asking again; somebody may hand back, or the quota be raised."""
WAIT_SECONDS: Final = 2.0
"""For a chunk, the wait for this instance's other askers included."""
BREAK_SECONDS: Final = 5.0
"""After a failure nobody waits for OSS for so long; then one asks."""

_UNREACHABLE: Final = (StorageError, DeadlineExceeded, Overloaded, TimeoutError)


@dataclass(slots=True)
class _Book:
    """What this instance knows of one quota on one day."""

    day: str
    journal: Journal
    name: str = field(default_factory=lambda: secrets.token_hex(6))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    quota: int = -1  # as the last look at the journal judged
    claimed: int = 0  # by all
    held: int = 0  # by us, ever
    spent: int = 0  # by us
    last_chunk: int = 0
    snapshot: Snapshot = field(default_factory=lambda: Snapshot((), 0, 0.0))
    seen_at: float = float("-inf")

    @property
    def left(self) -> int:
        """Of our chunks; negative when more was let through while OSS was away."""
        return self.held - self.spent

    def learn(self, snapshot: Snapshot, now: float) -> None:
        """Take over what the journal says."""
        holdings = _holdings(snapshot.records)
        self.claimed = sum(holdings.values())
        self.held = holdings.get(self.name, 0)
        self.snapshot = snapshot
        self.seen_at = now

    def room(self, quota: int) -> int:
        """What we could still spend today, as far as we know."""
        return self.left + max(0, quota - self.claimed)

    def next_record(self, quota: int, amount: int) -> Record | None:
        """What is to be appended before `amount` can be spent or refused; None when nothing is."""
        free = quota - self.claimed
        if free < 0 < self.left:
            return {"by": self.name, "take": -self.left}  # the quota was lowered: first everybody hands in
        need = amount - self.left
        if need <= 0:
            return None
        if need <= free:
            wish = 2 * self.last_chunk or FIRST_CHUNK * need
            self.last_chunk = max(need, min(wish, free // SHARES))
            return {"by": self.name, "take": self.last_chunk}
        if self.left < 0 < free:
            return {"by": self.name, "take": min(-self.left, free)}  # what was let through is booked all the same
        return None


def _holdings(records: Sequence[Record]) -> dict[str, int]:
    """What everybody holds. Nobody can hand back more than he has: who could, would add to the quota."""
    found: dict[str, int] = {}
    try:
        for record in records:
            by, take = record["by"], record["take"]
            found[by] = held = found.get(by, 0) + take
            if type(take) is not int or held < 0:
                raise JournalTorn("a quota's journal holds something else than chunks")
    except (KeyError, TypeError) as error:
        raise JournalTorn("a quota's journal holds something else than chunks") from error
    return found


class Quotas:
    """The daily quotas as one instance sees them.

    Parameters
    ----------
    store
        The state bucket.
    when_down
        What happens when OSS does not answer. `open`: the instance goes on alone, up to what it knows to be left (the
        whole quota if it never knew), and books that afterwards. `closed`: 503 `limit.unavailable` once its chunk is
        spent.
    clock
        Wall time in seconds.
    """

    def __init__(
        self, store: ObjectStore, when_down: WhenDown = "open", *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._when_down = when_down
        self._clock = clock
        self._ahead = 0.0  # OSS's clock, of ours
        self._books: dict[tuple[str, str], _Book] = {}
        self._down_until = 0.0

    async def spend(self, tenant_id: str, name: str, quota: int, amount: int) -> None:
        """Take `amount` units from today's quota.

        Raises
        ------
        LimitError
            429 `limit.quota`; nothing was taken.
        LimitsUnavailable
            OSS does not answer, and `when_down` is `closed`.
        """
        book = self._today(tenant_id, name)
        if amount > quota:
            raise self._refused(name, book, quota, amount)
        if book.quota == quota and book.left >= amount:
            book.spent += amount
            return
        if self._known_to_be_too_much(book, quota, amount):
            raise self._refused(name, book, quota, amount)
        if self._clock() < self._down_until:
            self._spend_alone(name, book, quota, amount)
            return
        if self._down_until:
            self._down_until = self._clock() + BREAK_SECONDS  # while this one asks, nobody else waits
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._claim_and_spend(tenant_id, name, quota, amount)
        except _UNREACHABLE as error:
            self._fell_silent(error)
            self._spend_alone(name, self._today(tenant_id, name), quota, amount)
        except LimitError:
            self._answered()
            raise
        else:
            self._answered()

    def give_back(self, tenant_id: str, name: str, amount: int) -> None:
        """Undo a `spend` of the same day, for work that was not begun after all. Costs nothing, reaches only memory."""
        book = self._books.get((tenant_id, name))
        if book is not None and book.day == self._day():
            book.spent = max(0, book.spent - amount)

    async def hand_in(self) -> None:
        """Give unspent chunks back, before this instance ends. What cannot be given back is lost to the day."""
        for key in list(self._books):
            book = self._today(*key)
            try:
                async with asyncio.timeout(WAIT_SECONDS), book.lock:
                    if book.held:
                        await self._look(book)
                    while book.left > 0:
                        await self._append(book, {"by": book.name, "take": -book.left})
            except _UNREACHABLE as error:
                logs.failure("quota.lost", error, level="warning", limit=key[1], count=book.left)

    async def _claim_and_spend(self, tenant_id: str, name: str, quota: int, amount: int) -> None:
        while True:
            book = self._today(tenant_id, name)
            async with book.lock:
                if book.quota == quota and book.left >= amount:
                    book.spent += amount  # whoever was before us claimed enough
                    return
                if self._known_to_be_too_much(book, quota, amount):
                    raise self._refused(name, book, quota, amount)
                await self._look(book)
                while book.day == self._day() and (record := book.next_record(quota, amount)) is not None:
                    if await self._append(book, record):
                        logs.event("quota.claimed", limit=name, count=record["take"])
                if book.day != self._day():
                    continue  # our clock was wrong about the day, or midnight passed: another journal
                book.quota = quota
                if book.left < amount:
                    raise self._refused(name, book, quota, amount)
                book.spent += amount
                return

    async def _look(self, book: _Book) -> None:
        self._learn(book, await book.journal.read())

    async def _append(self, book: _Book, record: Record) -> bool:
        """False where somebody was first; the book is fresh then."""
        try:
            self._learn(book, await book.journal.append(record, book.snapshot))
        except PositionConflict:
            await self._look(book)
            return False
        return True

    def _learn(self, book: _Book, snapshot: Snapshot) -> None:
        now = self._clock()
        self._ahead = snapshot.server_time - now
        book.learn(snapshot, now)

    def _today(self, tenant_id: str, name: str) -> _Book:
        """The book of today. A day's book that was left is never taken up again: its name forgot what it spent."""
        key, day = (tenant_id, name), self._day()
        book = self._books.get(key)
        if book is None or book.day != day:
            book = _Book(day, Journal(self._store, f"quotas/{tenant_id}/{name}/{day}.jsonl"))
            self._books[key] = book
        return book

    def _day(self) -> str:
        return day_of(self._clock() + self._ahead)

    def _seconds_left(self) -> float:
        return seconds_left(self._clock() + self._ahead)

    def _known_to_be_too_much(self, book: _Book, quota: int, amount: int) -> bool:
        return 0 <= self._clock() - book.seen_at < KNOWN_SECONDS and amount > book.room(quota)

    def _refused(self, name: str, book: _Book, quota: int, amount: int) -> LimitError:
        return quota_refused(name, quota, max(0, book.room(quota)), amount, self._seconds_left())

    def _spend_alone(self, name: str, book: _Book, quota: int, amount: int) -> None:
        if self._when_down == "closed":
            raise LimitsUnavailable
        if amount > book.room(quota):
            raise self._refused(name, book, quota, amount)
        book.spent += amount

    def _fell_silent(self, error: BaseException) -> None:
        if not self._down_until:
            logs.failure("quota.unreachable", error, state=self._when_down)
        self._down_until = self._clock() + BREAK_SECONDS

    def _answered(self) -> None:
        if self._down_until:
            self._down_until = 0.0
            logs.event("quota.reached")
