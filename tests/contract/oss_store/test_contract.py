"""What every `ObjectStore` does. The store in memory is only as good as it agrees with a real one."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from typing import Any

import pytest

from isikit.claims import Claim, Held, take
from isikit.errors import AlreadyExists, PositionConflict, StorageError
from isikit.journal import Journal

KEY = "p/acme/k1abc/pcm 中文 + %2F.wav"
TYPE = "audio/wav"


async def put(store: Any, key: str = KEY, data: bytes = b"0123456789", **more: Any) -> Any:
    return await store.put(key, data, content_type=TYPE, **more)


async def test_what_was_put_is_there_with_all_that_belongs_to_it(target: Any) -> None:
    before = int(target.now())
    written = await put(target.store, metadata={"sha256": "00ff", "expires-at": "1700000000"})
    info, data = await target.store.get(KEY)
    assert data == b"0123456789"
    head = await target.store.head(KEY)
    assert head == dataclasses.replace(info, server_time=head.server_time)
    assert (info.key, info.size, info.content_type) == (KEY, 10, TYPE)
    assert info.metadata == written.metadata == {"sha256": "00ff", "expires-at": "1700000000"}
    assert info.etag == written.etag == hashlib.md5(data).hexdigest().upper()
    for moment in (info.last_modified, info.server_time, written.server_time, written.last_modified):
        assert before <= moment <= target.now()
    assert info.server_time == int(info.server_time)


async def test_what_is_missing_is_none_and_has_a_time(target: Any) -> None:
    assert await target.store.head(KEY) is None
    assert await target.store.get(KEY) is None
    assert await target.store.get(KEY, start=3) is None
    before = int(target.now())
    tail = await target.store.tail(KEY)
    assert (tail.data, tail.end) == (b"", 0)
    assert before <= tail.server_time <= target.now()


async def test_time_is_the_servers(target: Any) -> None:
    await put(target.store)
    target.move(86_400)
    assert abs((await target.store.head(KEY)).server_time - target.now()) < 2
    assert abs((await target.store.tail("missing")).server_time - target.now()) < 2


@pytest.mark.parametrize("start", [0, 1, 9, 10, 11, 1000])
async def test_a_read_may_begin_anywhere(target: Any, start: int) -> None:
    await put(target.store, metadata={"a": "b"})
    info, data = await target.store.get(KEY, start=start)
    assert (info.size, data, info.metadata) == (10, b"0123456789"[start:], {"a": "b"})
    tail = await target.store.tail(KEY, start=start)
    assert (tail.end, tail.data) == (10, b"0123456789"[start:])


async def test_an_empty_object_is_an_object(target: Any) -> None:
    await put(target.store, data=b"")
    info, data = await target.store.get(KEY)
    assert (info.size, data) == (0, b"")
    assert (await target.store.get(KEY, start=1))[1] == b""


async def test_a_put_overwrites_unless_it_is_forbidden(target: Any) -> None:
    await put(target.store, data=b"first")
    await put(target.store, data=b"second")
    with pytest.raises(AlreadyExists):
        await put(target.store, data=b"third", forbid_overwrite=True)
    assert (await target.store.get(KEY))[1] == b"second"
    await put(target.store, key="new", data=b"first", forbid_overwrite=True)


async def test_of_racing_first_writers_exactly_one_wins(target: Any) -> None:
    results = await asyncio.gather(
        *(put(target.store, data=bytes([n]) * 1000, forbid_overwrite=True) for n in range(8)), return_exceptions=True
    )
    winners = [n for n, result in enumerate(results) if not isinstance(result, AlreadyExists)]
    assert len(winners) == 1
    assert not isinstance(results[winners[0]], BaseException)
    assert (await target.store.get(KEY))[1] == bytes([winners[0]]) * 1000


async def test_an_append_takes_effect_only_at_the_end(target: Any) -> None:
    position, server_time = await target.store.append("j", 0, b"one\n")
    assert (position, server_time) == (4, pytest.approx(target.now(), abs=2))
    assert (await target.store.append("j", 4, b"two\n"))[0] == 8
    for wrong in (0, 4, 7, 9):
        with pytest.raises(PositionConflict):
            await target.store.append("j", wrong, b"x")
    info, data = await target.store.get("j", start=4)
    assert (data, info.size) == (b"two\n", 8)


async def test_an_append_at_a_position_of_nothing_is_a_conflict(target: Any) -> None:
    with pytest.raises(PositionConflict):
        await target.store.append("j", 4, b"x")
    assert await target.store.head("j") is None


async def test_what_was_put_whole_cannot_be_appended_to(target: Any) -> None:
    await put(target.store)
    with pytest.raises(StorageError) as caught:
        await target.store.append(KEY, 10, b"x")
    assert (caught.value.code, caught.value.retryable) == ("oss.not_appendable", False)


async def test_what_was_deleted_is_gone_and_deleting_again_is_no_error(target: Any) -> None:
    await put(target.store)
    await target.store.delete(KEY)
    await target.store.delete(KEY)
    assert await target.store.head(KEY) is None


async def test_a_deleted_journal_begins_again_at_0(target: Any) -> None:
    await target.store.append("j", 0, b"one\n")
    await target.store.delete("j")
    assert (await target.store.append("j", 0, b"two\n"))[0] == 4


async def test_a_copy_keeps_type_and_metadata(target: Any) -> None:
    await put(target.other, "in/a b+中.wav", metadata={"call": "1"})
    await target.store.copy(target.other_bucket, "in/a b+中.wav", "work/copy.wav")
    info, data = await target.store.get("work/copy.wav")
    assert (data, info.content_type, info.metadata) == (b"0123456789", TYPE, {"call": "1"})


async def test_a_copy_of_one_version_is_none_of_another(target: Any) -> None:
    first = await put(target.other, "in/a.wav", b"first")
    await target.store.copy(target.other_bucket, "in/a.wav", "work/copy.wav", if_match=first.etag)
    await put(target.other, "in/a.wav", b"second")
    with pytest.raises(StorageError) as caught:
        await target.store.copy(target.other_bucket, "in/a.wav", "work/copy.wav", if_match=first.etag)
    assert (caught.value.code, caught.value.status) == ("oss.precondition_failed", 412)
    assert (await target.store.get("work/copy.wav"))[1] == b"first"


async def test_a_copy_of_nothing_is_an_error(target: Any) -> None:
    with pytest.raises(StorageError) as caught:
        await target.store.copy(target.other_bucket, "missing", "copy")
    assert (caught.value.code, caught.value.status) == ("oss.no_such_key", 404)


async def test_a_listing_is_in_the_order_of_bytes_and_goes_on_where_it_is_told(target: Any) -> None:
    keys = ["open/1", "open/10", "open/2", "open/a b", "open/Z", "open/é", "open/中", "open/🎈", "other"]
    for key in keys:
        await put(target.store, key, b"")
    expected = sorted((key for key in keys if key.startswith("open/")), key=str.encode)
    assert await target.store.list("open/") == expected
    assert await target.store.list("open/", limit=3) == expected[:3]
    assert await target.store.list("open/", after=expected[2]) == expected[3:]
    assert await target.store.list("open/", after=expected[2], limit=2) == expected[3:5]
    assert await target.store.list("none/") == []
    assert await target.store.list("") == sorted(keys, key=str.encode)


async def test_a_listing_tells_version_size_and_time_as_the_object_itself_does(target: Any) -> None:
    await put(target.store, "in/a b", b"12345")
    await put(target.store, "in/中", b"")
    for entry in await target.store.entries("in/"):
        info = await target.store.head(entry.key)
        assert (info.size, info.etag, info.last_modified) == (entry.size, entry.etag, entry.last_modified)
    assert [entry.key for entry in await target.store.entries("in/", after="in/a b", limit=1)] == ["in/中"]


@pytest.mark.parametrize("metadata", [{"Name": "x"}, {"name": "中"}, {"name": "a\nb"}, {"n": "\x7f"}])
async def test_metadata_that_no_header_can_carry_is_refused_here(target: Any, metadata: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        await put(target.store, metadata=metadata)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["head", "get", "tail", "put", "append"])
async def test_a_lost_answer_is_an_error_that_may_be_tried_again(target: Any, operation: str, when: str) -> None:
    arguments = {"put": (b"x",), "append": (0, b"x")}
    more = {"put": {"content_type": TYPE}}
    is_write = operation in arguments
    if not is_write:
        await target.store.append("j", 0, b"x")
    target.lose(operation, when=when, times=2)
    before = target.calls(operation)
    with pytest.raises(StorageError) as caught:
        await getattr(target.store, operation)("j", *arguments.get(operation, ()), **more.get(operation, {}))
    assert (caught.value.code, caught.value.retryable) == ("oss.unreachable", True)
    tries = target.tries if operation != "append" else 1
    assert target.calls(operation) == before + tries, "no layer below may try again by itself"
    target.heal()
    assert (await target.store.tail("j")).end == (0 if is_write and when == "before" else 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("lost", ["append", "tail"])
async def test_a_journal_gets_over_lost_answers(target: Any, lost: str, when: str) -> None:
    journal = Journal(target.store, "jobs/1.jsonl")
    snapshot = await journal.append({"n": 0}, await journal.read())
    target.lose("append", when=when)
    if lost == "tail":
        target.lose("tail", when=when)
    snapshot = await journal.append({"n": 1}, snapshot)
    assert [record["n"] for record in snapshot.records] == [0, 1]
    assert (await Journal(target.store, "jobs/1.jsonl").read()).records == snapshot.records


async def test_two_writers_of_a_journal_lose_nothing(target: Any) -> None:
    async def write(name: str) -> None:
        journal = Journal(target.store, "jobs/1.jsonl")
        for number in range(10):
            while True:
                try:
                    await journal.append({"by": name, "n": number}, await journal.read())
                except PositionConflict:
                    continue
                break

    await asyncio.gather(write("a"), write("b"))
    records = (await Journal(target.store, "jobs/1.jsonl").read()).records
    for name in "ab":
        assert [record["n"] for record in records if record["by"] == name] == list(range(10))


async def test_of_many_claimers_at_a_claims_edge_one_wins(target: Any) -> None:
    assert isinstance(await take(Journal(target.store, "c"), "first", 10), Claim)
    assert isinstance(await take(Journal(target.store, "c"), "early", 10), Held)
    target.move(11)
    outcomes = await asyncio.gather(*(take(Journal(target.store, "c"), f"w{n}", 10) for n in range(6)))
    winners = {outcome.owner for outcome in outcomes if isinstance(outcome, Claim)}
    assert len(winners) == 1
    assert {outcome.owner for outcome in outcomes if isinstance(outcome, Held)} == winners
