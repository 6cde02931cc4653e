"""One journal, one or many writers: what is appended stands exactly once, in one order, whatever answers are lost."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from isikit.errors import PositionConflict, StorageError
from isikit.journal import ATTEMPTS, MAX_RECORD_BYTES, Journal, JournalTorn, RecordTooLarge, Snapshot
from support.memory_store import MemoryStore, refused

KEY = "jobs/1.jsonl"


async def no_pause(_: float) -> None:
    """Waits not at all."""


def journal_on(store: MemoryStore) -> Journal:
    return Journal(store, KEY, pause=no_pause)


def without_nonces(snapshot: Snapshot) -> list[dict[str, object]]:
    return [{name: value for name, value in record.items() if name != "nonce"} for record in snapshot.records]


async def test_a_missing_journal_is_empty_and_has_a_time() -> None:
    store = MemoryStore()
    snapshot = await journal_on(store).read()
    assert snapshot == Snapshot((), 0, store.clock.now())


async def test_what_was_appended_is_read_back_in_order_with_distinct_nonces() -> None:
    store = MemoryStore()
    journal = journal_on(store)
    snapshot = await journal.read()
    for number in range(3):
        snapshot = await journal.append({"n": number, "text": "你好\n"}, snapshot)
    again = await journal_on(store).read()
    assert again.records == snapshot.records
    assert without_nonces(again) == [{"n": n, "text": "你好\n"} for n in range(3)]
    assert len({record["nonce"] for record in again.records}) == 3


async def test_a_record_after_an_old_snapshot_is_refused_and_leaves_no_trace() -> None:
    store = MemoryStore()
    first, second = journal_on(store), journal_on(store)
    old = await first.read()
    await second.append({"by": "second"}, await second.read())
    with pytest.raises(PositionConflict):
        await first.append({"by": "first"}, old)
    assert without_nonces(await first.read()) == [{"by": "second"}]


async def test_a_read_fetches_only_what_came_since() -> None:
    store = MemoryStore()
    writer, reader = journal_on(store), journal_on(store)
    snapshot = await writer.append({"n": 0}, await writer.read())
    await reader.read()
    starts: list[int] = []
    tail = store.tail

    async def recording(key: str, *, start: int = 0) -> object:
        starts.append(start)
        return await tail(key, start=start)

    store.tail = recording  # type: ignore[method-assign]
    after = await writer.append({"n": 1}, snapshot)
    assert (await reader.read()).records == after.records
    assert (await reader.read()).records == after.records
    assert starts == [snapshot.position - 1, after.position - 1]


async def test_a_journal_that_was_deleted_and_written_anew_is_read_from_its_beginning() -> None:
    store = MemoryStore()
    reader = journal_on(store)
    writer = journal_on(store)
    await writer.append({"n": "a long record of the old journal"}, await writer.read())
    await reader.read()
    await store.delete(KEY)
    new = await journal_on(store).append({"n": 1}, Snapshot((), 0, 0.0))
    assert (await reader.read()).records == new.records


async def test_a_record_over_8_kb_is_refused_before_anything_is_written() -> None:
    store = MemoryStore()
    with pytest.raises(RecordTooLarge):
        await journal_on(store).append({"text": "x" * MAX_RECORD_BYTES}, Snapshot((), 0, 0.0))
    assert store.calls["append"] == 0


@pytest.mark.parametrize("data", [b'{"n": 1', b'{"n": 1}\n{"n"', b"[1]\n", b"not json\n", b"\n", b"\xff\n"])
async def test_bytes_that_are_not_whole_records_are_reported_not_skipped(data: bytes) -> None:
    store = MemoryStore()
    await store.append(KEY, 0, data)
    with pytest.raises(JournalTorn):
        await journal_on(store).read()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("times", range(1, ATTEMPTS + 2))
async def test_a_lost_answer_is_settled_by_reading_back(when: str, times: int) -> None:
    """Every call of the append fails `times` times, before its effect or after: the record stands at most once."""
    store = MemoryStore()
    journal = journal_on(store)
    start = await journal.append({"n": 0}, await journal.read())
    store.fail("append", times=times, when=when)
    try:
        snapshot = await journal.append({"n": 1}, start)
    except StorageError as error:
        assert error.retryable
        assert when == "before" and times >= ATTEMPTS
        expected = [{"n": 0}]
    else:
        assert without_nonces(snapshot) == [{"n": 0}, {"n": 1}]
        expected = [{"n": 0}, {"n": 1}]
    store.heal()
    read = await journal_on(store).read()
    assert without_nonces(read) == expected
    assert (await journal.append({"n": 2}, await journal.read())).position == len(store.objects[KEY].data)


@pytest.mark.parametrize(
    ("append_when", "tail_when", "appends", "tails"),
    [
        (*when, *times)
        for when in itertools.product(("before", "after"), repeat=2)
        for times in itertools.product((1, 2, 3), (1, 2, 3))
    ],
)
async def test_reading_back_may_fail_too(append_when: str, tail_when: str, appends: int, tails: int) -> None:
    store = MemoryStore()
    journal = journal_on(store)
    start = await journal.append({"n": 0}, await journal.read())
    store.fail("append", times=appends, when=append_when)
    store.fail("tail", times=tails, when=tail_when)
    snapshot = await journal.append({"n": 1}, start)
    store.heal()
    assert without_nonces(snapshot) == [{"n": 0}, {"n": 1}]
    assert (await journal_on(store).read()).records == snapshot.records


async def test_an_unclear_answer_whose_place_another_took_is_a_conflict() -> None:
    store = MemoryStore()
    journal, other = journal_on(store), journal_on(store)
    start = await journal.read()
    store.fail("append", when="before")
    real = store.tail

    async def other_first(key: str, *, start: int = 0) -> object:
        store.tail = real  # type: ignore[method-assign]
        await other.append({"by": "other"}, await other.read())
        return await real(key, start=start)

    store.tail = other_first  # type: ignore[method-assign]
    with pytest.raises(PositionConflict):
        await journal.append({"by": "us"}, start)
    assert without_nonces(await journal.read()) == [{"by": "other"}]


async def test_an_append_still_on_its_way_is_not_written_twice() -> None:
    """The first try reaches OSS only after the read-back found nothing: the second try must meet it, and know it."""
    store = MemoryStore()
    journal = journal_on(store)
    start = await journal.read()
    late: list[tuple[str, int, bytes]] = []
    real = store.append

    async def slow(key: str, position: int, data: bytes) -> tuple[int, float]:
        if not late:
            late.append((key, position, data))
            raise StorageErrorUnclear
        await real(*late[0])
        return await real(key, position, data)

    store.append = slow  # type: ignore[method-assign]
    snapshot = await journal.append({"n": 1}, start)
    assert without_nonces(snapshot) == [{"n": 1}]
    assert (await journal_on(store).read()).records == snapshot.records


class StorageErrorUnclear(StorageError):
    """No answer."""

    retryable = True


async def test_a_final_refusal_is_not_tried_again() -> None:
    store = MemoryStore()
    store.fail("append", error=lambda: refused("oss.access_denied", 403))
    with pytest.raises(StorageError) as caught:
        await journal_on(store).append({"n": 1}, Snapshot((), 0, 0.0))
    assert caught.value.code == "oss.access_denied"
    assert store.calls["append"] == 1


async def test_of_two_racing_writers_exactly_one_wins_each_position_and_nothing_is_lost() -> None:
    store = MemoryStore()
    store.turn = lambda: asyncio.sleep(0)
    won: dict[int, str] = {}

    async def write(name: str) -> None:
        journal = journal_on(store)
        snapshot = await journal.read()
        for number in range(50):
            while True:
                try:
                    after = await journal.append({"by": name, "n": number}, snapshot)
                except PositionConflict:
                    snapshot = await journal.read()
                else:
                    assert snapshot.position not in won
                    won[snapshot.position] = name
                    snapshot = after
                    break

    await asyncio.gather(write("a"), write("b"))
    records = without_nonces(await journal_on(store).read())
    assert [r["n"] for r in records if r["by"] == "a"] == list(range(50))
    assert [r["n"] for r in records if r["by"] == "b"] == list(range(50))
    assert [r["by"] for r in records] == [won[position] for position in sorted(won)]
