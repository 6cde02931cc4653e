"""Three writers, any interleaving, any lost answers: an order of whole records, each at most once, none lost."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from isikit.errors import PositionConflict, StorageError
from isikit.journal import Journal
from support.memory_store import MemoryStore
from support.steps import Stepped, turn

KEY = "jobs/1.jsonl"
WRITERS = "abc"
RECORDS = 3


async def no_pause(_: float) -> None:
    """Waits not at all."""


class Writer:
    """Writes its records one after the other, each until it stands or its fate is unknown."""

    def __init__(self, name: str, shared: MemoryStore) -> None:
        self.name = name
        self.store = MemoryStore(clock=shared.clock, objects=shared.objects, turn=turn)
        self.answered: list[int] = []
        self.unclear: list[int] = []
        self.stepped = Stepped(self._write())

    async def _write(self) -> None:
        journal = Journal(self.store, KEY, pause=no_pause)
        snapshot = await journal.read()
        for number in range(RECORDS):
            while True:
                try:
                    snapshot = await journal.append({"by": self.name, "n": number}, snapshot)
                except PositionConflict:
                    snapshot = await self._read(journal)
                except StorageError:
                    self.unclear.append(number)
                    snapshot = await self._read(journal)
                    break
                else:
                    self.answered.append(number)
                    break

    async def _read(self, journal: Journal):
        while True:
            try:
                return await journal.read()
            except StorageError:
                continue


faults = st.lists(
    st.tuples(
        st.sampled_from(WRITERS),
        st.sampled_from(("append", "tail")),
        st.sampled_from(("before", "after")),
        st.integers(1, 6),
        st.integers(1, 5),
    ),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(range(3)), max_size=120), faults)
def test_every_record_stands_at_most_once_and_every_answered_one_stands(schedule, armed) -> None:
    shared = MemoryStore()
    writers = [Writer(name, shared) for name in WRITERS]
    for name, operation, when, nth, times in armed:
        # The very first read is not tried again by these writers.
        writers[WRITERS.index(name)].store.fail(operation, when=when, nth=nth + (operation == "tail"), times=times)
    for chosen in schedule:
        if writers[chosen].stepped.alive:
            writers[chosen].stepped.step()
    for writer in writers:
        while writer.stepped.alive:
            writer.stepped.step()

    records = [json.loads(line) for line in shared.objects[KEY].data.splitlines()]
    standing = Counter((record["by"], record["n"]) for record in records)
    assert set(standing.values()) <= {1}
    for writer in writers:
        own = [record["n"] for record in records if record["by"] == writer.name]
        assert own == sorted(own)
        assert set(writer.answered) <= set(own) <= set(writer.answered) | set(writer.unclear)
        assert len(writer.answered) + len(writer.unclear) == RECORDS
